"""Why a query stopped, or could not start, as an error of this project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it has none
from pyspark.errors import PySparkException
from pyspark.sql.streaming.query import StreamingQuery

from soundlake.errors import DataError, SettingsError, SoundlakeError, Unavailable
from soundlake.streaming.progress import QueryProgress
from soundlake.streaming.startup_checks import describe_state

_DATA_LOSS = ("failOnDataLoss", "data loss", "PARTITIONS_DELETED", "OFFSET_CHANGED", "KAFKA_DATA_LOSS")

_LOSS = re.compile(r"Reason: (.+?)(?: with consumer group| SQLSTATE| ===|$)")
"""What Spark says after the same 300 letters about every loss; it names the partition and its offsets."""

_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_CAUSES: tuple[tuple[str, type[SoundlakeError], str, str], ...] = (
    ("SaslAuthenticationException", SettingsError, "Kafka rejects the user name or password",
     "correct SOUNDLAKE_KAFKA_USERNAME, SOUNDLAKE_KAFKA_PASSWORD or SOUNDLAKE_KAFKA_SASL_MECHANISM"),
    ("NoSuchBucketException", SettingsError, "there is no such bucket",
     "create it, or correct SOUNDLAKE_LAKE or SOUNDLAKE_STREAM_CHECKPOINTS"),
    # S3A sends a HEAD request first, whose answer has no reason in it: a wrong key, secret or clock look the same.
    ("(Service: S3, Status Code: 403", SettingsError, "the store does not accept these keys",
     f"correct {_KEYS}, allow them to read, write, list and delete there, and see that the clock is right"),
    ("Unable to execute HTTP request", Unavailable, "the store does not answer",
     "start it (see `soundlake status`), or correct AWS_ENDPOINT_URL; then start again"),
    ("(Service: S3, Status Code: 5", Unavailable, "the store cannot answer now", "nothing is lost: start again later"),
    ("GoogleHadoopFileSystem", SettingsError, "Spark has no connector for gs:// here", "name a folder, or a bucket as s3://"),
    ("DELTA_CANNOT_CREATE_LOG_PATH", Unavailable, "no table can be created in the lake",
     "give this user write access to it and start again"),
    ("common.errors.TimeoutException", Unavailable, "Kafka does not answer", "check that Kafka runs, then start again"),
    ("DisconnectException", Unavailable, "Kafka does not answer", "check that Kafka runs, then start again"),
    ("TOPIC_PARTITIONS", Unavailable, "a topic got other partitions while it was read to its end", "nothing is lost: start it again"),
    ("UnknownTopicOrPartition", Unavailable, "a topic does not exist", "run `soundlake topics create`, then start again"),
)  # fmt: skip
"""A text in a failure, its error type, meaning and next step; the first match counts. "Connection refused" alone could be any server."""

_WORKER_ERROR = re.compile(r"^soundlake[.]errors[.](\w+): (.+)(?:\n→ (.+))?", re.MULTILINE)
"""An error of this project raised in a worker: Spark passes its traceback on as text."""
_JAVA = re.compile(r"^: (.+)", re.MULTILINE)
"""Java's message in py4j's text, after lines of its own."""
_BUCKET = re.compile(r"s3a://[^/'`: ]+")
_LONGEST = 300


@contextmanager
def translate_start_errors(name: str) -> Iterator[None]:
    """Turn errors of Java and Spark while a query starts into errors of this project."""
    try:
        yield
    except Py4JJavaError as cause:
        raise translate_error(name, f"{cause.java_exception.toString()}\n{cause}") from cause
    except PySparkException as cause:
        raise translate_error(name, str(cause)) from cause


def raise_query_error(name: str, query: StreamingQuery) -> None:
    """Raise what ended the query."""
    error = query.exception()
    if error is not None:
        raise translate_error(name, str(error)) from error


def raise_on_dropped_rows(progress: QueryProgress) -> None:
    """Raise DataError for a micro-batch that dropped rows."""
    if progress.dropped_rows:
        raise DataError(
            f"the query {progress.query} dropped {progress.dropped_rows} records: the clock of this machine went back by more than "
            "SOUNDLAKE_STREAM_REPEAT_MINUTES",
            next_step=f"set the clock right, move {describe_state(progress.query)} away, and start over",
        )


def translate_error(name: str, text: str) -> SoundlakeError:
    """The error of this project for Spark's description of a failed query."""
    stopped = f"the query {name} stopped"
    java = _JAVA.search(text)
    first = (java[1] if java else next((line.strip() for line in text.splitlines() if line.strip()), "no reason given"))[:_LONGEST]
    if any(word.lower() in text.lower() for word in _DATA_LOSS):
        reason = _LOSS.search(" ".join(text.split()))
        return DataError(
            f"{stopped}: the log no longer holds the next offset, or was recreated. {reason[1] if reason else first}",
            next_step=f"restore the log, or move {describe_state(name)} away to start over",
        )
    if raised := _WORKER_ERROR.search(text):
        kinds = {kind.__name__: kind for kind in (Unavailable, SettingsError, DataError)}
        return kinds.get(raised[1], SoundlakeError)(f"{stopped}: {raised[2]}", next_step=raised[3])
    for sign, kind, meaning, next_step in _CAUSES:
        if sign in text:
            bucket = _BUCKET.search(text)
            return kind(f"{stopped}: {f'{bucket[0]}: ' if bucket else ''}{meaning}", next_step=next_step)
    return SoundlakeError(f"{stopped}: {first}", next_step="its checkpoint is kept: start it again, or see the log for the cause")
