"""What is checked before a query starts: its storage, the owner of its tables, the identity of the logs it reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from pyspark.sql import SparkSession

from soundlake.errors import DataError, SettingsError
from soundlake.lake.object_store import open_store
from soundlake.lake.store_errors import translate_store_errors
from soundlake.settings import Settings
from soundlake.streaming import processed
from soundlake.streaming.deployment import SUBMITTED, StreamLocations
from soundlake.streaming.hadoop_files import read_folder, read_text, replace_folder
from soundlake.streaming.processed_tables import TABLES, read_newest_batch

_GCS_ENDPOINT = "https://storage.googleapis.com"


def check_storage(settings: Settings, queries: Sequence[str]) -> None:
    """Access once each place that these queries write to: an error here is clear, the same one later is a Java stack trace.

    Raises SettingsError for an unusable address or key, Unavailable for a store that does not answer.
    """
    if processed.NAME in queries and settings.lake_address.path is not None:
        with translate_store_errors(str(settings.lake_address.path)):
            (settings.lake_address.path / "processed").mkdir(parents=True, exist_ok=True)
    for setting, url in _list_stores(settings, queries):
        if url.startswith("gs://"):
            if settings.stream.master == SUBMITTED:
                continue  # a submitted job brings the connector and its keys
            raise SettingsError(
                f"{setting}={url}: Spark has no connector for gs:// here",
                next_step=f"for `soundlake stream` alone write s3:// and set AWS_ENDPOINT_URL={_GCS_ENDPOINT} and HMAC keys of the bucket",
            )
        with translate_store_errors(url):
            next(iter(open_store(url, settings.storage_options).list(chunk_size=1)), None)


def _list_stores(settings: Settings, queries: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The buckets that are written to, each with its setting."""
    if processed.NAME in queries and settings.lake_address.path is None:
        yield "SOUNDLAKE_LAKE", settings.lake_address.url
    checkpoints = settings.stream.checkpoints.replace("s3a://", "s3://", 1)
    if checkpoints.startswith("gs://") or (checkpoints.startswith("s3://") and settings.storage_options):
        yield "SOUNDLAKE_STREAM_CHECKPOINTS", checkpoints


def read_checkpoint_id(session: SparkSession, uri: str) -> str | None:
    """The id that Spark gave this checkpoint; None if there is no checkpoint yet."""
    text = read_text(session, f"{uri}/metadata")
    return None if text is None else str(json.loads(text)["id"])


def describe_state(query: str) -> str:
    """All that has to be moved away for a query to start over."""
    return f"the checkpoint of {query} and the processed tables" if query == processed.NAME else f"the checkpoint of {query}"


def check_table_owner(locations: StreamLocations, checkpoint_id: str | None) -> None:
    """Raises DataError if the processed tables hold batches but none of this checkpoint: it would append the same events again."""
    others = {}
    for name in TABLES:
        batch = read_newest_batch(locations, name)
        if batch is not None and batch.checkpoint_id == checkpoint_id:
            return
        others[name] = batch
    written = [name for name, batch in others.items() if batch is not None]
    if written:
        raise DataError(
            f"{locations.processed}: another checkpoint of {processed.NAME} wrote {', '.join(written)}; the events that the log still "
            "holds would be stored twice",
            next_step="restore that checkpoint, or move these tables away too: they are then filled again from all that the topics hold",
        )


def check_log_ids(session: SparkSession, query: str, uri: str, log_ids: Mapping[str, str], *, is_new: bool = False) -> None:
    """Compare the ids of the logs that a query reads with those stored at `uri`, beside the checkpoint; store them for a new checkpoint.

    Spark identifies a topic by its name alone. Raises DataError for a recreated topic: its records below the old position would never be
    read.
    """
    stored = {} if is_new else _read_stored_ids(session, uri)
    replaced = sorted(topic for topic, log_id in log_ids.items() if stored.get(topic, log_id) != log_id)
    if replaced:
        raise DataError(
            f"{', '.join(replaced)}: the topic was deleted and recreated since the checkpoint of {query} was written",
            next_step=f"restore the log, or move {describe_state(query)} away to start over with what the topics hold",
        )
    if stored.keys() != log_ids.keys():
        lines = [json.dumps({"topic": topic, "log_id": log_id}) for topic, log_id in sorted(log_ids.items())]
        replace_folder(session, uri, "\n".join(lines))


def _read_stored_ids(session: SparkSession, uri: str) -> dict[str, str]:
    rows = [json.loads(line) for text in read_folder(session, uri) for line in text.splitlines()]
    return {row["topic"]: row["log_id"] for row in rows}
