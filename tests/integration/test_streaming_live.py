"""The query `live` on a local session: what it leaves out before decoding, and a Redis that is away for a moment."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from pyspark.sql import DataFrame
from tests.integration.streaming_frames import make_value
from tests.server_process import ServerProcess
from tests.servers import run

from soundlake.cache.live_metrics import HORIZON_SECONDS, is_in_horizon
from soundlake.cache.redis_store import RedisLiveStore, open_redis_store
from soundlake.contract.topics import PLAYS
from soundlake.operations.servers import RedisServer, find_free_block
from soundlake.streaming.decoding import RECORD_DDL
from soundlake.streaming.live import drop_expired, record_live, select_countable
from soundlake.streaming.query_errors import translate_error


@pytest.fixture
def redis(tmp_path) -> Iterator[ServerProcess]:
    """A Redis of this test alone, to be killed."""
    yield from run(RedisServer(tmp_path / "redis", find_free_block()), tmp_path)


@pytest.fixture
def countable(spark) -> DataFrame:
    """Ten plays that were over just now."""
    now = datetime.now(UTC)
    text = f"{now - timedelta(seconds=100):%Y-%m-%dT%H:%M:%S.%fZ}"
    values = [make_value(played_at=text, event_id=str(uuid.uuid4())) for _ in range(10)]
    rows = [(PLAYS.name, 0, offset, now, None, value) for offset, value in enumerate(values)]
    return select_countable(drop_expired(spark.createDataFrame(rows, RECORD_DDL).coalesce(1)))


def count_plays(redis: ServerProcess) -> int:
    return sum(minute.plays for minute in RedisLiveStore(redis.server.url).read(datetime.now(UTC)).minutes)


def test_a_redis_that_comes_back_is_waited_for_and_counts_each_event_once(redis, countable):
    recording = record_live(countable, partial(open_redis_store, redis.server.url))
    recording.collect()
    redis.kill()
    with ThreadPoolExecutor(1) as aside:
        again = aside.submit(recording.collect)
        time.sleep(5)
        assert not again.done(), "it waits"
        redis.start()
        assert sum(row["events"] for row in again.result()) == 10
    assert count_plays(redis) == 10


def test_a_redis_that_stays_away_ends_it_by_its_name(redis, countable):
    redis.kill()
    recording = record_live(countable, partial(open_redis_store, redis.server.url), attempts=3)
    with pytest.raises(Exception, match="Redis does not answer") as caught:
        recording.collect()
    assert translate_error("live", str(caught.value)).message.startswith("the query live stopped: SOUNDLAKE_CACHE: Redis does not answer")


def test_only_records_of_which_none_can_count_any_more_are_left_out_undecoded(spark):
    now = datetime.now(UTC)
    ages = [-HORIZON_SECONDS, 0, HORIZON_SECONDS, 2 * HORIZON_SECONDS - 30, 2 * HORIZON_SECONDS, 2 * HORIZON_SECONDS + 180, 86_400]
    rows = [(PLAYS.name, 0, age, now - timedelta(seconds=age), None, b"") for age in ages]
    kept = {row["offset"] for row in drop_expired(spark.createDataFrame(rows, RECORD_DDL)).collect()}
    assert kept == {age for age in ages if age <= 2 * HORIZON_SECONDS}
    now_ms = int(now.timestamp() * 1_000)
    latest_ends_ms = {age: now_ms + (HORIZON_SECONDS - age) * 1_000 for age in ages}
    assert {age for age, ended_ms in latest_ends_ms.items() if age >= 0 and is_in_horizon(ended_ms, now_ms)} <= kept
