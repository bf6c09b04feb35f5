"""What goes wrong around `soundlake stream`, on real servers: each has a clear message, the right end, and no secret in it."""

from __future__ import annotations

import json
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from pydantic import SecretStr
from tests.command_lines import read_command_lines
from tests.integration.streaming_cases import STEP_SECONDS, StreamRunner, count_processed, make_topics, publish_plays
from tests.server_process import ServerProcess
from tests.servers import KAFKA_PASSWORD, KAFKA_USER, make_password_server, run

from soundlake.cache.redis_store import RedisLiveStore
from soundlake.errors import DataError, SettingsError, SoundlakeError, Unavailable
from soundlake.operations.servers import RedisServer, find_free_block
from soundlake.settings import KafkaAccess, Settings
from soundlake.streaming.deployment import StreamLimits, StreamLocations, make_kafka_options, make_key_properties, make_store_properties
from soundlake.streaming.startup_checks import check_log_ids

BUCKET = "spotify-data-lake"
NOBODY = "127.0.0.1:9"
"""Where nothing listens."""


@pytest.fixture
def kafka(kafka_jars, tmp_path) -> Iterator[ServerProcess]:
    """A broker of this test alone, with a second door that asks for a password: a job reads all topics."""
    yield from run(make_password_server(tmp_path / "kafka", kafka_jars), tmp_path)


@pytest.fixture
def redis(tmp_path) -> Iterator[ServerProcess]:
    """A Redis of this test alone, to be killed."""
    yield from run(RedisServer(tmp_path / "redis", find_free_block()), tmp_path)


@pytest.fixture
def open_runner(spark_jars, tmp_path) -> Iterator:
    """The command on a deployment with these settings; nothing is left running."""
    opened: list[StreamRunner] = []

    def open_one(**changes: object) -> StreamRunner:
        defaults = {
            "home": tmp_path / "home",
            "servers": {"downloads": spark_jars.parent},
            "broker": f"kafka://{NOBODY}",
            "topics": {"partitions": 2},
        }
        opened.append(StreamRunner(Settings(_env_file=None, **(defaults | changes))))
        return opened[-1]

    yield open_one
    for runner in opened:
        runner.end()


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"s3": {"AWS_SECRET_ACCESS_KEY": "wrong-secret"}}, 2, "the store does not accept these keys\n→ correct AWS_SECRET_ACCESS_KEY\n"),
        ({"s3": {"AWS_ACCESS_KEY_ID": "stranger"}}, 2, "the store does not know this access key\n→ correct AWS_ACCESS_KEY_ID\n"),
        ({"lake": "s3://no-such-bucket"}, 2, "s3://no-such-bucket: there is no such bucket\n→ create the bucket, or correct"),
        (
            {"stream": {"checkpoints": "s3a://no-such-bucket/here"}},
            2,
            "s3://no-such-bucket/here: there is no such bucket\n→ create the bucket",
        ),
        (
            {"s3": {"AWS_ENDPOINT_URL": f"http://{NOBODY}"}},
            1,
            "the store does not answer\n→ start it (see `soundlake status`)",
        ),
        ({"lake": f"gs://{BUCKET}"}, 2, f"SOUNDLAKE_LAKE=gs://{BUCKET}: Spark has no connector for gs:// here\n→ for `soundlake stream`"),
    ],
    ids=["wrong secret", "unknown key", "missing bucket", "missing bucket of checkpoints", "store down", "google"],
)
def test_a_store_that_cannot_be_used_is_reported_before_java_starts(open_runner, object_store, changes, code, said):
    keys = {"s3": {**object_store.server.storage_options, **changes.get("s3", {})}}
    runner = open_runner(**({"lake": f"s3://{BUCKET}/{uuid.uuid4()}"} | changes | keys))
    assert runner.start("processed").wait(120) == code
    text = runner.log.read_text()
    assert said in text
    assert [word for word in ("Traceback", "\tat ", "wrong-secret", object_store.server.keys.secret_key) if word in text] == []


@pytest.mark.parametrize(
    ("password", "said"),
    [
        (None, "SOUNDLAKE_CACHE: Redis does not answer"),
        ("open-sesame", "SOUNDLAKE_CACHE: Redis does not accept the password\n→ correct it"),
    ],
    ids=["down", "wrong password"],
)
def test_a_redis_that_cannot_be_used_is_reported_before_java_starts(open_runner, redis_server, password, said):
    place = NOBODY if password is None else f"127.0.0.1:{redis_server.server.port}"
    runner = open_runner(cache=f"redis://:{password or 'hush'}@{place}/0")
    assert runner.start("live").wait(120) == 1
    text = runner.log.read_text()
    assert said in text
    assert [word for word in ("Traceback", "Kafka", "hush", "open-sesame") if word in text] == []


def test_a_redis_that_is_started_again_costs_nothing_and_one_that_stays_dead_ends_the_job(open_runner, kafka, redis):
    runner = open_runner(broker=f"kafka://{kafka.server.address}", cache=redis.server.url)
    make_topics(runner.settings)
    process = runner.start("live")

    def count_plays() -> int:
        return sum(minute.plays for minute in RedisLiveStore(redis.server.url).read(datetime.now(UTC)).minutes)

    ended_at = datetime.now(UTC)
    sent = publish_plays(kafka.server.address, ended_at, 10)
    runner.wait_until(process, lambda: count_plays() == 10, "nothing was counted")
    redis.kill()
    publish_plays(kafka.server.address, datetime.now(UTC), 10)
    time.sleep(10)
    redis.start()
    publish_plays(kafka.server.address, ended_at, 10, sent)
    publish_plays(kafka.server.address, datetime.now(UTC), 5)
    runner.wait_until(process, lambda: count_plays() >= 25, "it does not go on")
    assert count_plays() == 25
    assert not [line for line in runner.log.read_text().splitlines() if line.startswith("error:")]
    redis.kill()
    publish_plays(kafka.server.address, datetime.now(UTC), 10)
    assert process.wait(STEP_SECONDS) == 1
    text = runner.log.read_text()
    assert "error: the query live stopped: SOUNDLAKE_CACHE: Redis does not answer" in text
    assert text.rstrip().endswith("→ check that it is running, then try again")
    assert urlsplit(redis.server.url).password not in text


def test_spark_reads_with_user_name_and_password_and_shows_neither(open_runner, kafka, redis_server):
    runner = open_runner(
        broker=f"kafka://{kafka.server.sasl_address}", cache=redis_server.server.url,
        kafka={"security_protocol": "SASL_PLAINTEXT", "username": KAFKA_USER, "password": KAFKA_PASSWORD},
    )  # fmt: skip
    make_topics(runner.settings)
    sent = publish_plays(kafka.server.address, datetime.now(UTC), 20)
    process = runner.start("processed", "live")
    runner.wait_until(process, lambda: count_processed(runner.settings) == len(sent), "nothing was processed")
    secrets = (KAFKA_PASSWORD, str(urlsplit(redis_server.server.url).password))
    lines = read_command_lines([psutil.Process(process.pid)])
    assert any("org.apache.spark" in line for line in lines)
    assert [line for line in lines if any(secret in line for secret in secrets)] == []
    process.send_signal(signal.SIGTERM)
    assert process.wait(STEP_SECONDS) == 0
    assert [secret for secret in secrets if secret in runner.log.read_text()] == []


def run_job(spark, locations: StreamLocations, name: str) -> SoundlakeError:
    """What the job of this session ends with."""
    from soundlake.streaming.job import StreamJob

    with pytest.raises(SoundlakeError) as caught:
        StreamJob(spark, locations, StreamLimits()).run([name], stop=threading.Event(), for_seconds=STEP_SECONDS)
    return caught.value


@pytest.fixture
def locations(kafka_server, tmp_path) -> StreamLocations:
    """From the door of the shared broker that asks for a password, given a wrong one, into folders of this test."""
    access = KafkaAccess(kafka_server.server.sasl_address, "SASL_PLAINTEXT", "PLAIN", KAFKA_USER, SecretStr("battery-staple"))
    return StreamLocations(
        make_kafka_options(access), f"file://{tmp_path}/processed", f"file://{tmp_path}/silver", f"file://{tmp_path}/checkpoints"
    )


@pytest.mark.parametrize("name", ["processed", "now_playing"])
def test_a_wrong_password_that_spark_gives_to_kafka_is_reported_as_such(spark, locations, name):
    error = run_job(spark, locations, name)
    assert type(error) is SettingsError
    assert error.message == f"the query {name} stopped: Kafka rejects the user name or password"
    assert "SOUNDLAKE_KAFKA_PASSWORD" in error.next_step
    assert "battery-staple" not in str(error)


def test_a_recreated_topic_stops_only_the_queries_that_read_it(spark, locations, tmp_path):
    for name in ("processed", "now_playing"):
        metadata = tmp_path / "checkpoints" / name / "metadata"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(json.dumps({"id": str(uuid.uuid4())}))
        check_log_ids(spark, name, f"{locations.checkpoint(name)}-logs", {"user_history": "old", "user_now_playing": "same"})
    remade = replace(locations, log_ids={"user_history": "new", "user_now_playing": "same"})
    error = run_job(spark, remade, "processed")
    assert type(error) is DataError
    assert error.message.startswith("user_history: the topic was deleted and recreated since the checkpoint of processed")
    assert "Kafka rejects the user name or password" in run_job(spark, remade, "now_playing").message


@pytest.fixture
def run_on_s3a(spark, locations, object_store) -> Iterator:
    """How the job ends on this bucket, with some of Hadoop's properties changed."""
    options = object_store.server.storage_options
    properties = {
        name.removeprefix("spark.hadoop."): value for name, value in make_store_properties("s3://lake", options).items()
    } | make_key_properties(options)
    quick = {"fs.s3a.impl.disable.cache": "true", "fs.s3a.attempts.maximum": "1", "fs.s3a.retry.limit": "1"}
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()

    def run_one(bucket: str, changes: dict[str, str]) -> SoundlakeError:
        for name, value in (properties | quick | changes).items():
            hadoop.set(name, value)
        return run_job(spark, replace(locations, checkpoints=f"s3a://{bucket}/{uuid.uuid4()}"), "processed")

    yield run_one
    for name in (*properties, *quick):
        hadoop.unset(name)


@pytest.mark.parametrize(
    ("bucket", "changes", "kind", "said"),
    [
        ("no-such-bucket", {}, SettingsError, "s3a://no-such-bucket: there is no such bucket"),
        (BUCKET, {"fs.s3a.secret.key": "wrong-secret"}, SettingsError, f"s3a://{BUCKET}: the store does not accept these keys"),
        (BUCKET, {"fs.s3a.endpoint": f"http://{NOBODY}"}, Unavailable, f"s3a://{BUCKET}: the store does not answer"),
    ],
    ids=["missing bucket", "wrong secret", "store down"],
)
def test_javas_error_of_a_store_becomes_an_error_of_ours(run_on_s3a, bucket, changes, kind, said):
    error = run_on_s3a(bucket, changes)
    assert type(error) is kind
    assert error.message == f"the query processed stopped: {said}"
    assert "wrong-secret" not in str(error)


def test_a_lake_without_write_access_becomes_an_error_of_ours(spark, locations):
    error = run_job(spark, replace(locations, processed=Path("/proc/processed").as_uri()), "processed")
    assert type(error) is Unavailable
    assert error.message.startswith("/proc/processed/")
    assert error.next_step


@pytest.fixture
def create_tables_in(spark, locations, object_store) -> Callable[..., SoundlakeError]:
    """How the job ends that cannot create its tables in this bucket."""

    def run_one(bucket: str, **changes: str) -> SoundlakeError:
        options = object_store.server.storage_options | changes
        return run_job(spark, replace(locations, processed=f"s3a://{bucket}/{uuid.uuid4()}", storage_options=options), "processed")

    return run_one


def test_a_bucket_in_which_no_table_can_be_created_is_reported(create_tables_in):
    missing, closed = create_tables_in("no-such-bucket"), create_tables_in(BUCKET, AWS_SECRET_ACCESS_KEY="wrong-secret")
    assert (type(missing), type(closed)) == (SettingsError, SettingsError)
    assert "there is no such bucket" in missing.message
    assert "the store does not accept these keys" in closed.message
    assert "wrong-secret" not in str(closed)
