"""A topic whose unread records Kafka has deleted, under a live sink: it stops alone, and continues once its gap is accepted."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import pytest
from tests.integration.kafka_cases import RunningSink, delete_topics, make_plays, open_kafka, open_lake, read_ids, stored_ids, wait_until

from soundlake.contract import TOPICS
from soundlake.contract.topics import DLQ, LIKES, PLAYS
from soundlake.errors import OffsetGap
from soundlake.reconciliation.log_vs_bronze import check_log, count_waiting
from soundlake.reconciliation.stopped_topics import check_stopped
from soundlake.settings import KafkaAccess
from soundlake.sink import Sink, SinkLimits

NUMBERS = itertools.count()


@pytest.fixture
def access(kafka_server):
    access = KafkaAccess(kafka_server.server.address)
    delete_topics(access)
    return access


@pytest.fixture
def broker(access):
    with open_kafka(access, answer_seconds=5.0) as broker:
        broker.create_topics([*TOPICS, DLQ], partitions=1)
        yield broker


def publish_likes(broker, count: int) -> None:
    _, values = make_plays(count)
    likes = [json.dumps({**json.loads(value), "event_type": "like", "action": "like"}).encode() for value in values]
    assert broker.append(LIKES.name, [b"ann"] * count, likes).acknowledged == count


def make_gap(broker, lake) -> None:
    """Likes 0 to 9 are stored, 10 to 14 deleted unread, 15 to 19 wait."""
    publish_likes(broker, 10)
    Sink(broker, lake, SinkLimits(), topics=[LIKES]).run(until_drained=True)
    publish_likes(broker, 10)
    broker.trim(LIKES.name, {0: 15})


def count_likes(lake) -> int:
    return lake.read("likes", ["event_id"]).num_rows


@pytest.mark.parametrize("member", ["", "a"], ids=["alone", "in the group"])
def test_a_live_sink_continues_with_the_plays_and_with_the_likes_once_their_gap_is_accepted(access, broker, tmp_path, member):
    lake, (keys, values) = open_lake(tmp_path / "lake"), make_plays(400)
    make_gap(broker, lake)
    options = {"topics": [LIKES, PLAYS], "recheck_seconds": 0.5, "member": member, "group": f"stopped-{next(NUMBERS)}"}
    with RunningSink(access, lake, **options) as sink:
        for part in (slice(0, 200), slice(200, 400)):
            broker.append(PLAYS.name, keys[part], values[part])
            sink.await_ids(read_ids(values[: part.stop]))
        assert count_likes(lake) == 10
        found = check_stopped(broker, lake)
        assert (found.ok, found.parts) == (False, {"user_likes[0]:10-14 missing": 5})
        environment = {"SOUNDLAKE_BROKER": f"kafka://{access.servers}", "SOUNDLAKE_LAKE": f"file://{tmp_path}/lake"}
        environment |= {"SOUNDLAKE_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-m", "soundlake.cli.app", "sink", "--json", "--accept-gap"]
        refused = subprocess.run([*command, "user_likes[0]:10-15"], env={**os.environ, **environment}, check=False, capture_output=True)
        assert (refused.returncode, b"the log holds the offsets from 15 on" in refused.stderr) == (3, True)
        done = subprocess.run([*command, "user_likes[0]:10-14"], env={**os.environ, **environment}, check=True, capture_output=True)
        assert json.loads(done.stdout) == {"gap": "user_likes[0]:10-14", "lost": 5, "remaining": None}
        wait_until(lambda: count_likes(lake) == 15)
    assert sink.error is None
    checks = {check.name: check for check in check_log(broker, lake)}
    assert all(check.ok for check in checks.values()), checks
    assert checks["user_likes: log = bronze + rejected"].parts["accepted as lost"] == 5
    assert (check_stopped(broker, lake).ok, count_waiting(broker, lake), len(stored_ids(lake))) == (True, 0, 400)


def test_a_live_sink_whose_topic_is_stopped_ends_with_its_error(access, broker, tmp_path):
    lake = open_lake(tmp_path)
    make_gap(broker, lake)
    with RunningSink(access, lake, topics=[LIKES, PLAYS]) as sink:
        broker.append(PLAYS.name, *make_plays(1))
        wait_until(lambda: len(stored_ids(lake)) == 1)
    assert isinstance(sink.error, OffsetGap)
    assert (sink.error.gap, sink.error.exit_code) == ("user_likes[0]:10-14", 3)
