"""Why a query ended, or could not begin, in the words of this project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it has none
from pyspark.errors import PySparkException
from pyspark.sql.streaming.query import StreamingQuery

from soundlake.errors import DataError, SettingsError, SoundlakeError, Unavailable
from soundlake.streaming.checkpoints import name_state
from soundlake.streaming.progress import QueryProgress

_LOST = ("failOnDataLoss", "data loss", "PARTITIONS_DELETED", "OFFSET_CHANGED", "KAFKA_DATA_LOSS")

_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_SIGNS: tuple[tuple[str, type[SoundlakeError], str, str], ...] = (
    ("SaslAuthenticationException", SettingsError, "Kafka does not let soundlake in",
     "correct SOUNDLAKE_KAFKA_USERNAME, SOUNDLAKE_KAFKA_PASSWORD or SOUNDLAKE_KAFKA_SASL_MECHANISM"),
    ("NoSuchBucketException", SettingsError, "there is no such bucket",
     "make it, or correct SOUNDLAKE_LAKE or SOUNDLAKE_STREAM_CHECKPOINTS"),
    # S3A asks by HEAD first, and no answer to that holds the store's own reason: a wrong key, a wrong secret, a wrong clock look alike.
    ("(Service: S3, Status Code: 403", SettingsError, "the store refuses these keys",
     f"correct {_KEYS}, allow them to read, write, list and delete there, and see that the clock is right"),
    ("Unable to execute HTTP request", Unavailable, "the store does not answer",
     "start it (see `soundlake status`), or correct AWS_ENDPOINT_URL; then start again"),
    ("(Service: S3, Status Code: 5", Unavailable, "the store cannot answer now", "nothing is lost: start again later"),
    ("GoogleHadoopFileSystem", SettingsError, "Spark has no connector for gs:// here", "name a folder, or a bucket as s3://"),
    ("DELTA_CANNOT_CREATE_LOG_PATH", Unavailable, "no table can be made in the lake", "give this user write access to it and start again"),
    ("common.errors.TimeoutException", Unavailable, "Kafka does not answer", "see that Kafka runs, then start again"),
    ("DisconnectException", Unavailable, "Kafka does not answer", "see that Kafka runs, then start again"),
    ("UnknownTopicOrPartition", Unavailable, "a topic is not there", "run `soundlake topics create`, then start again"),
)  # fmt: skip
"""What the text of a failure holds, what it means and what helps; the first that fits. "Connection refused" alone is any server's."""

_WORKER = re.compile(r"^soundlake[.]errors[.](\w+): (.+)(?:\n→ (.+))?", re.MULTILINE)
"""An error of this project that a worker raised: Spark hands on its traceback as text."""
_JAVA = re.compile(r"^: (.+)", re.MULTILINE)
"""How py4j tells what Java said, somewhere behind lines of its own."""
_BUCKET = re.compile(r"s3a://[^/'`: ]+")
_LONGEST = 300


@contextmanager
def explain_start(name: str) -> Iterator[None]:
    """Turn what Java or Spark refuse while a query is made ready into an error of this project."""
    try:
        yield
    except Py4JJavaError as cause:
        raise explain(name, f"{cause.java_exception.toString()}\n{cause}") from cause
    except PySparkException as cause:
        raise explain(name, str(cause)) from cause


def explain_query(name: str, query: StreamingQuery) -> None:
    """Raise what ended the query."""
    error = query.exception()
    if error is not None:
        raise explain(name, str(error)) from error


def refuse_dropped(progress: QueryProgress) -> None:
    """Raise DataError for a micro-batch that dropped rows."""
    if progress.dropped_rows:
        raise DataError(
            f"the query {progress.query} dropped {progress.dropped_rows} records: the clock of this machine went back by more than repeats "
            "are known for",
            next_step=f"set the clock right, move {name_state(progress.query)} away, and begin anew",
        )


def explain(name: str, told: str) -> SoundlakeError:
    """The error of this project for what Spark says of a query that failed."""
    stopped = f"the query {name} stopped"
    java = _JAVA.search(told)
    first = (java[1] if java else next((line.strip() for line in told.splitlines() if line.strip()), "no reason given"))[:_LONGEST]
    if any(word.lower() in told.lower() for word in _LOST):
        return DataError(
            f"{stopped}: the log no longer holds what comes next, or is another one. {first}",
            next_step=f"restore the log, or move {name_state(name)} away to begin anew",
        )
    if raised := _WORKER.search(told):
        kinds = {kind.__name__: kind for kind in (Unavailable, SettingsError, DataError)}
        return kinds.get(raised[1], SoundlakeError)(f"{stopped}: {raised[2]}", next_step=raised[3])
    for sign, kind, meaning, next_step in _SIGNS:
        if sign in told:
            bucket = _BUCKET.search(told)
            return kind(f"{stopped}: {f'{bucket[0]}: ' if bucket else ''}{meaning}", next_step=next_step)
    return SoundlakeError(f"{stopped}: {first}", next_step="its checkpoint is kept: start it again, or see the log for the cause")
