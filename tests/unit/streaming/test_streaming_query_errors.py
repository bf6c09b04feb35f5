"""What Spark 4.2 says of failures, as it was seen on real servers (shortened), and what each is called here."""

from __future__ import annotations

import json

import pytest

from soundlake.errors import DataError, SettingsError, SoundlakeError, Unavailable
from soundlake.streaming.progress import ProgressReporter
from soundlake.streaming.query_errors import raise_on_dropped_rows, translate_error

QUERY = """
=== Streaming Query ===
Identifier: live [id = 744606e1-a469-4dd5-ad6c-520c8277c9de, runId = b7990777-6aba-4ac5-aa85-a4d5c9640323]
Current Available Offsets: {KafkaV2[Subscribe[user_plays]]: {"user_plays":{"0":0,"1":50}}}
Logical Plan:
WriteToMicroBatchDataSource noop-table
"""

REDIS = """[PYTHON_EXCEPTION] An exception was thrown from the Python worker: Traceback (most recent call last):
  File "src/soundlake/streaming/live.py", line 61, in record
    store.record(pa.Table.from_batches([part]).cast(LIVE_SCHEMA), datetime.now(UTC))
  File "src/soundlake/cache/redis_store.py", line 192, in _explain_faults
    raise Unavailable(f"SOUNDLAKE_CACHE: Redis does not answer: {cause}", next_step="see that it runs, then try again") from cause
soundlake.errors.Unavailable: SOUNDLAKE_CACHE: Redis does not answer: Error 111 connecting to 127.0.0.1:22680. Connection refused.
→ see that it runs, then try again
 SQLSTATE: 38000"""

S3A = "getFileStatus on s3a://spotify-data-lake/processed/plays: software.amazon.awssdk"

STORE_AWAY = f"""java.net.ConnectException: {S3A}.core.exception.SdkClientException: Unable to execute HTTP request: \
Connect to 127.0.0.1:9 [/127.0.0.1] failed: Connection refused (SDK Attempt Count: 2)
An error occurred while calling o93.sql."""

AMID_BATCH = f"""An exception was raised by the Python Proxy. Return Message: Traceback (most recent call last):
  File "src/soundlake/streaming/processed_tables.py", line 90, in append_batch
    writer.option("userMetadata", str(batch)).save(uri)
py4j.protocol.Py4JJavaError: An error occurred while calling o3512.save.
: java.net.ConnectException: listObjects() on {S3A.removeprefix("getFileStatus on ")}.core.exception.SdkClientException: Unable to execute \
HTTP request: Connect to 127.0.0.1:21280 [/127.0.0.1] failed: Connection refused (SDK Attempt Count: 6)"""

UNKNOWN = """py4j.protocol.Py4JJavaError: An error occurred while calling o3512.save.
: java.lang.IllegalStateException: nobody has seen this yet"""

FORBIDDEN = f"""java.nio.file.AccessDeniedException: s3a://spotify-data-lake/processed/plays: {S3A}.services.s3.model.S3Exception: \
Forbidden (Service: S3, Status Code: 403, Request ID: 18EBAD19B11370E9CB4947A6):null"""

NO_BUCKET = """org.apache.hadoop.fs.s3a.UnknownStoreException: `s3a://no-such-bucket/processed/plays': getFileStatus on \
s3a://no-such-bucket/processed/plays: software.amazon.awssdk.services.s3.model.NoSuchBucketException: The specified bucket does not exist \
(Service: S3, Status Code: 404, Request ID: 18EBAD19842D5963E454C5FB) (SDK Attempt Count: 1)"""

PASSWORD = """java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.SaslAuthenticationException: Authentication failed: \
Invalid username or password"""

KAFKA_AWAY = """java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node \
assignment. Call: listNodes"""

GOOGLE = "java.lang.RuntimeException: java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.gs.GoogleHadoopFileSystem not found"

NO_FOLDER = """org.apache.spark.sql.delta.DeltaIOException: [DELTA_CANNOT_CREATE_LOG_PATH] Cannot create \
file:/proc/nowhere/processed/plays/_delta_log"""


LOSS = """[STREAM_FAILED] Query [id = 744606e1, runId = b7990777] terminated with exception: [KAFKA_DATA_LOSS.{kind}] Some data may have \
been lost because they are not available in Kafka any more;
either the data was aged out by Kafka or the topic may have been deleted before all the data in the
topic was processed.
If you don't want your streaming query to fail on such cases, set the source option failOnDataLoss to false.
Reason: {reason} SQLSTATE: 22000"""
"""From error/kafka-error-conditions.json in the jar of Spark's Kafka connector."""


@pytest.mark.parametrize(
    ("kind", "reason", "said"),
    [
        (
            "COULD_NOT_READ_OFFSET_RANGE",
            "Could not read records in offset [60, 90) for topic partition user_plays-0\nwith consumer group spark-kafka-source-1.",
            "Could not read records in offset [60, 90) for topic partition user_plays-0",
        ),
        (
            "ADDED_PARTITION_DOES_NOT_START_FROM_OFFSET_ZERO",
            "Added partition user_plays-5 starts from 3 instead of 0.",
            "Added partition user_plays-5 starts from 3 instead of 0.",
        ),
        ("PARTITIONS_DELETED", "Partitions Set(user_plays-2) have been deleted.", "Partitions Set(user_plays-2) have been deleted."),
    ],
    ids=["unread", "added", "deleted"],
)
def test_a_loss_names_the_partition_and_its_offsets_and_not_the_switch_that_ignores_it(kind, reason, said):
    error = translate_error("live", LOSS.format(kind=kind, reason=reason) + QUERY)
    assert type(error) is DataError
    assert error.message == f"the query live stopped: the log no longer holds the next offset, or was recreated. {said}"
    assert "failOnDataLoss" not in str(error)


@pytest.mark.parametrize(
    ("text", "kind", "said", "next_step"),
    [
        (REDIS, Unavailable, "SOUNDLAKE_CACHE: Redis does not answer: Error 111", "see that it runs, then try again"),
        (STORE_AWAY, Unavailable, "s3a://spotify-data-lake: the store does not answer", "AWS_ENDPOINT_URL"),
        (AMID_BATCH, Unavailable, "s3a://spotify-data-lake: the store does not answer", "AWS_ENDPOINT_URL"),
        (FORBIDDEN, SettingsError, "s3a://spotify-data-lake: the store does not accept these keys", "AWS_SECRET_ACCESS_KEY"),
        (NO_BUCKET, SettingsError, "s3a://no-such-bucket: there is no such bucket", "SOUNDLAKE_LAKE"),
        (PASSWORD, SettingsError, "Kafka rejects the user name or password", "SOUNDLAKE_KAFKA_PASSWORD"),
        (KAFKA_AWAY, Unavailable, "Kafka does not answer", "check that Kafka runs"),
        (GOOGLE, SettingsError, "Spark has no connector for gs:// here", "s3://"),
        (NO_FOLDER, Unavailable, "no table can be created in the lake", "write access"),
        (
            "[KAFKA_DATA_LOSS.COULD_NOT_READ_OFFSET_RANGE] Some data may have been lost",
            DataError,
            "the log no longer holds",
            "checkpoint of live",
        ),
        (
            "[MISMATCHED_TOPIC_PARTITIONS_BETWEEN_END_OFFSET_AND_PREFETCHED] Kafka data source in Trigger.AvailableNow should provide",
            Unavailable,
            "a topic got other partitions",
            "start it again",
        ),
        (UNKNOWN, SoundlakeError, "stopped: java.lang.IllegalStateException: nobody has seen this yet", "see the log"),
        ("something else", SoundlakeError, "something else", "see the log"),
        ("", SoundlakeError, "=== Streaming Query ===", "see the log"),
    ],
    ids=[
        "Redis",
        "store",
        "amid a batch",
        "keys",
        "bucket",
        "password",
        "Kafka",
        "Google",
        "folder",
        "data loss",
        "partitions",
        "Java",
        "else",
        "nothing",
    ],
)
def test_a_failure_names_the_query_the_server_and_what_to_do(text, kind, said, next_step):
    error = translate_error("live", text + QUERY)
    assert type(error) is kind
    assert error.message.startswith("the query live stopped: ")
    assert said in error.message
    assert next_step in error.next_step
    assert "\n" not in error.message
    assert ("Kafka" in str(error)) == (text in (PASSWORD, KAFKA_AWAY))


def test_starting_processed_over_names_its_tables_too():
    error = translate_error("processed", "[KAFKA_DATA_LOSS.COULD_NOT_READ_OFFSET_RANGE] Some data may have been lost")
    assert error.next_step == "restore the log, or move the checkpoint of processed and the processed tables away to start over"


def test_an_error_of_a_worker_without_a_next_step_is_translated_too():
    error = translate_error("processed", "[PYTHON_EXCEPTION] Traceback:\nsoundlake.errors.DataError: 3 rows do not fit\n SQLSTATE: 38000")
    assert (type(error), error.message, error.next_step) == (DataError, "the query processed stopped: 3 rows do not fit", None)


class Progress(dict):
    """What Spark gives: a mapping that knows its JSON."""

    def __init__(self, text: str) -> None:
        super().__init__(json.loads(text))
        self.json = text


def test_rows_that_a_batch_dropped_are_refused_though_later_ones_dropped_none():
    def describe(batch: int, dropped: int) -> str:
        operator = {"numRowsTotal": 1, "numRowsDroppedByWatermark": dropped}
        text = {"batchId": batch, "timestamp": "2026-11-22T16:30:00.000Z", "numInputRows": 9, "durationMs": {}, "sources": []}
        return json.dumps(text | {"stateOperators": [operator]})

    class Query:
        """Reported three times between two calls."""

        recentProgress = [Progress(describe(0, 0)), Progress(describe(1, 7)), Progress(describe(2, 0))]  # noqa: N815, RUF012  # as Spark names it

    with pytest.raises(DataError, match="the query processed dropped 7 records") as caught:
        ProgressReporter(raise_on_dropped_rows).report_new("processed", Query())
    assert "move the checkpoint of processed and the processed tables away" in caught.value.next_step
