"""Which logs a checkpoint is about: Spark knows a topic by its name alone, and would take one made anew for the old one."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from soundlake.errors import DataError
from soundlake.streaming.checkpoints import name_state

_DDL = "topic STRING, log_id STRING"


def check_logs(session: SparkSession, query: str, uri: str, log_ids: Mapping[str, str], *, is_new: bool = False) -> None:
    """Compare the ids of the logs that a query reads with those noted at `uri`, beside the checkpoint; note them for a new checkpoint.

    Raises DataError for a topic that was made anew: below the old position, nothing of it would ever be read.
    """
    noted = {} if is_new else _read_noted(session, uri)
    replaced = sorted(topic for topic, log_id in log_ids.items() if noted.get(topic, log_id) != log_id)
    if replaced:
        raise DataError(
            f"{', '.join(replaced)}: not the log that the checkpoint of {query} is about; it was deleted and made anew",
            next_step=f"restore the log, or move {name_state(query)} away to begin anew with what the topics hold",
        )
    if noted.keys() != log_ids.keys():
        session.createDataFrame(sorted(log_ids.items()), _DDL).coalesce(1).write.mode("overwrite").json(uri)


def _read_noted(session: SparkSession, uri: str) -> dict[str, str]:
    try:
        return {row["topic"]: row["log_id"] for row in session.read.schema(_DDL).json(uri).collect()}
    except AnalysisException:  # nothing was noted yet
        return {}
