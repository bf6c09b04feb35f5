"""Why a query ended, in the words of this project."""

from __future__ import annotations

from typing import Any

from pyspark.sql.streaming.query import StreamingQuery

from soundlake.errors import DataError, SoundlakeError, Unavailable

_LOST = ("failOnDataLoss", "data loss", "PARTITIONS_DELETED", "OFFSET_CHANGED", "KAFKA_DATA_LOSS")
_AWAY = ("TimeoutException", "UnknownTopicOrPartition", "Connection refused", "DisconnectException")


def explain_query(name: str, query: StreamingQuery) -> None:
    """Raise what ended the query, or what must end it."""
    error = query.exception()
    if error is not None:
        raise explain(name, str(error)) from error
    dropped = sum(operator["numRowsDroppedByWatermark"] for operator in _list_operators(query))
    if dropped:
        raise DataError(
            f"the query {name} dropped {dropped} records: the clock of this machine went back by more than repeats are known for",
            next_step=f"set the clock right, move the checkpoint of {name} and the processed tables away, and begin anew",
        )


def explain(name: str, told: str) -> SoundlakeError:
    """The error of this project for what Spark says of a query that failed."""
    first = next((line.strip() for line in told.splitlines() if line.strip()), "no reason given")
    if any(word.lower() in told.lower() for word in _LOST):
        return DataError(
            f"the query {name} stopped: the log no longer holds what comes next, or is another one. {first}",
            next_step=f"restore the log, or move the checkpoint of {name} away to begin anew",
        )
    if any(word in told for word in _AWAY):
        return Unavailable(
            f"the query {name} stopped: a server does not answer. {first}", next_step="see that Kafka runs, then start again"
        )
    return SoundlakeError(
        f"the query {name} stopped: {first}", next_step="its checkpoint is kept: start it again, or see the log for the cause"
    )


def _list_operators(query: StreamingQuery) -> list[dict[str, Any]]:
    """What the last batch tells of its stateful operators."""
    progress = query.lastProgress
    return [] if progress is None else list(progress["stateOperators"])
