"""Whose checkpoint it is, and what goes with it: the processed tables go with the one that wrote them."""

from __future__ import annotations

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from soundlake.errors import DataError
from soundlake.streaming import processed
from soundlake.streaming.tables import TABLES, read_newest_batch


def read_checkpoint_id(session: SparkSession, uri: str) -> str | None:
    """The id under which Spark keeps this checkpoint; None for one that is yet to be made."""
    try:
        found = session.read.schema("id STRING").json(f"{uri}/metadata").first()
    except AnalysisException:  # nothing is there
        return None
    return None if found is None else found["id"]


def name_state(query: str) -> str:
    """What must be moved away, all of it, for a query to begin anew."""
    return f"the checkpoint of {query} and the processed tables" if query == processed.NAME else f"the checkpoint of {query}"


def check_owner(session: SparkSession, tables: str, checkpoint_id: str | None) -> None:
    """Raises DataError if the processed tables hold batches, and none by this checkpoint: it would append once more what they hold."""
    others = {}
    for name in TABLES:
        batch = read_newest_batch(session, f"{tables}/{name}")
        if batch is not None and batch.checkpoint_id == checkpoint_id:
            return
        others[name] = batch
    written = [name for name, batch in others.items() if batch is not None]
    if written:
        raise DataError(
            f"{tables}: another checkpoint of {processed.NAME} wrote {', '.join(written)}; what the log still holds would be twice there",
            next_step="bring that checkpoint back, or move these tables away too: they begin anew with all that the topics hold",
        )
