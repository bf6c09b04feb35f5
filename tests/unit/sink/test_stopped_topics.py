"""A topic that cannot continue stops alone; its gap is named, and it continues once the gap is accepted. Logs are in memory."""

from __future__ import annotations

import json
import re
import threading
import time
import uuid

import pytest

from soundlake.broker.memory import MemoryBroker
from soundlake.contract import TOPICS
from soundlake.contract.topics import LIKES, PLAYS, SKIPS
from soundlake.errors import DataError, LogReplaced, OffsetGap, SoundlakeError, TopicCompacted
from soundlake.lake import MemoryBronzeTables, MissingKind, PositionMove, make_missing_app_ids, make_position_app_id
from soundlake.reconciliation.stopped_topics import check_stopped
from soundlake.sink import Sink, SinkLimits
from soundlake.sink.accepted_gaps import AcceptedGap, Gap, accept_gap
from soundlake.sink.observer import NoOpObserver


class StoppedObserver(NoOpObserver):
    """Keeps which topics are stopped, and the last lag of each."""

    def __init__(self) -> None:
        self.stopped: dict[str, bool] = {}
        self.lag: dict[str, dict[int, int]] = {}

    def record_lag(self, topic, behind) -> None:
        self.lag[topic] = dict(behind)

    def record_stopped(self, topic, *, is_stopped) -> None:
        self.stopped[topic] = is_stopped


class CompactedBroker(MemoryBroker):
    """A log whose topics in `compacted` delete records by key."""

    compacted: frozenset[str] = frozenset()

    def check_deletes_by_age(self, topic: str) -> None:
        if topic in self.compacted:
            raise TopicCompacted(topic, "compact")


@pytest.fixture
def broker() -> CompactedBroker:
    broker = CompactedBroker()
    broker.create_topics(TOPICS, partitions=1)
    return broker


@pytest.fixture
def lake() -> MemoryBronzeTables:
    return MemoryBronzeTables()


def publish(broker, topic, count: int, kind: str = "play") -> None:
    event = {"event_type": kind, "played_at": "2026-02-28T23:59:59Z", "action": "like" if kind == "like" else None}
    values = [json.dumps({"event_id": str(uuid.uuid4()), **event}).encode() for _ in range(count)]
    broker.append(topic.name, [b"ann"] * count, values)


def drain(broker, lake, **options):
    return Sink(broker, lake, SinkLimits(), topics=[LIKES, PLAYS, SKIPS], **options).run(until_drained=True)


def make_gap(broker, lake) -> None:
    """Likes 0 to 4 are stored, 5 to 9 deleted unread, 10 and 11 wait; so do plays."""
    publish(broker, LIKES, 5, "like")
    drain(broker, lake)
    publish(broker, LIKES, 7, "like")
    broker.trim(LIKES.name, {0: 10})
    publish(broker, PLAYS, 3)


def count_rows(lake) -> tuple[int, int]:
    return lake.read("likes").num_rows, lake.read("plays").num_rows


def test_a_gap_in_one_topic_does_not_stop_another_and_ends_the_drain_with_its_error(broker, lake):
    make_gap(broker, lake)
    observer = StoppedObserver()
    with pytest.raises(OffsetGap) as caught:
        drain(broker, lake, observer=observer)
    assert (caught.value.topic, caught.value.expected, caught.value.first_available) == (LIKES.name, 5, 10)
    assert "soundlake sink --accept-gap 'user_likes[0]:5-9'" in str(caught.value)
    assert count_rows(lake) == (5, 3)
    assert observer.stopped == {LIKES.name: True, PLAYS.name: False, SKIPS.name: False}


def test_a_live_sink_continues_with_the_other_topics_and_raises_when_it_is_stopped(broker, lake, caplog):
    make_gap(broker, lake)
    stop = threading.Event()

    def proceed(done: int) -> None:
        publish(broker, PLAYS, 2) if done == 3 else stop.set()

    with pytest.raises(OffsetGap):
        Sink(broker, lake, SinkLimits(max_seconds=0.05), topics=[LIKES, PLAYS]).run(stop=stop, on_progress=proceed, for_seconds=20)
    assert count_rows(lake) == (5, 5)
    assert [record.levelname for record in caplog.records if "user_likes is stopped" in record.message] == ["ERROR"]


def test_what_was_read_before_the_topic_is_stopped_is_stored(broker, lake):
    publish(broker, LIKES, 5, "like")
    sink = Sink(broker, lake, SinkLimits(max_seconds=3_600), topics=[LIKES])
    poll, stop = broker.poll, threading.Event()

    def poll_once(*place, **limits):
        broker.poll = fail
        return poll(*place, **limits)

    def fail(*_place, **_limits):
        raise OffsetGap(LIKES.name, 0, 5, 9)

    broker.poll = poll_once
    with pytest.raises(OffsetGap):
        sink.run(stop=stop, for_seconds=20)
    assert count_rows(lake) == (5, 0)


def test_several_stopped_topics_are_all_named(broker, lake):
    make_gap(broker, lake)
    broker.compacted = frozenset({SKIPS.name})
    with pytest.raises(DataError, match=r"(?s)2 topics are stopped.*user_likes\[0\].*user_skips has cleanup\.policy=compact") as caught:
        drain(broker, lake)
    assert caught.value.exit_code == 3
    assert count_rows(lake) == (5, 3)


def test_an_accepted_gap_is_counted_and_the_topic_continues_behind_it(broker, lake):
    make_gap(broker, lake)
    assert accept_gap(broker, lake, Gap.parse("user_likes[0]:5-9")) == AcceptedGap(5, None)
    assert drain(broker, lake).topics[LIKES.name].events == 2
    assert count_rows(lake) == (7, 3)
    app_id, table = make_position_app_id(broker.log_id(LIKES.name), LIKES.name, 0), lake.open_table("likes")
    assert [table.read_position(name) for name in (app_id, *make_missing_app_ids(app_id, MissingKind.LOST))] == [11, 5, 5]


def test_a_gap_that_has_grown_is_accepted_as_it_was_named_and_the_rest_is_reported(broker, lake):
    make_gap(broker, lake)
    broker.trim(LIKES.name, {0: 11})
    assert accept_gap(broker, lake, Gap.parse("user_likes[0]:5-9")) == AcceptedGap(5, Gap.parse("user_likes[0]:10-10"))
    assert accept_gap(broker, lake, Gap.parse("user_likes[0]:10-10")) == AcceptedGap(1, None)
    assert drain(broker, lake).topics[LIKES.name].events == 1


@pytest.mark.parametrize(
    ("text", "message", "exit_code"),
    [
        ("user_likes[0]:5-10", "the log holds the offsets from 10 on; only user_likes[0]:5-9 is missing", 3),
        ("user_likes[0]:4-9", "offset 5 is the next one; user_likes[0]:5-9 is missing", 3),
        ("user_likes[0]:6-9", "offset 5 is the next one; user_likes[0]:5-9 is missing", 3),
        ("user_plays[0]:0-1", "nothing is missing in user_plays[0]", 3),
        ("user_skips[0]:0-4", "nothing is missing in user_skips[0]", 3),
        ("user_likes[1]:5-9", "user_likes has no partition 1", 2),
        ("likes[0]:5-9", "likes is not a topic of the sink", 2),
        ("user_likes:5-9", "'user_likes:5-9' is not a gap", 2),
        ("user_likes[0]:9-5", "'user_likes[0]:9-5' is not a gap", 2),
        ("user_likes[0]:5-" + "9" * 5_000, "is not a gap", 2),
    ],
    ids=["still in the log", "already stored", "not the next", "no gap", "never read", "partition", "topic", "form", "backwards", "number"],
)
def test_only_what_is_missing_can_be_accepted(broker, lake, text, message, exit_code):
    make_gap(broker, lake)
    with pytest.raises(SoundlakeError, match=re.escape(message)) as caught:
        accept_gap(broker, lake, Gap.parse(text))
    assert (caught.value.exit_code, caught.value.next_step is not None) == (exit_code, True)
    with pytest.raises(OffsetGap):
        drain(broker, lake)


def test_records_that_came_and_expired_since_an_empty_partition_was_seen_are_a_gap(broker, lake):
    drain(broker, lake)
    publish(broker, LIKES, 7, "like")
    broker.trim(LIKES.name, {0: 5})
    with pytest.raises(OffsetGap) as caught:
        drain(broker, lake)
    assert (caught.value.expected, caught.value.first_available) == (0, 5)
    assert check_stopped(broker, lake).parts == {"user_likes[0]:0-4 missing": 5}
    assert accept_gap(broker, lake, Gap.parse("user_likes[0]:0-4")) == AcceptedGap(5, None)
    assert drain(broker, lake).topics[LIKES.name].events == 2


def test_where_a_partition_begins_is_stored_once(broker, lake):
    drain(broker, lake)
    before = lake.read_last_batch("likes")
    drain(broker, lake)
    assert (before, lake.read_last_batch("likes")) == (1, 1)


@pytest.mark.parametrize(("rejected", "lost"), [(2, 2), (3, 1), (5, 0)])
def test_a_rejected_record_of_the_gap_is_not_counted_as_lost(broker, lake, rejected, lost):
    broker.append(LIKES.name, [b"ann"] * rejected, [b"{"] * rejected)

    def crash(point: str) -> None:
        if point == "rejected_committed":
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        drain(broker, lake, checkpoint=crash)
    app_id = make_position_app_id(broker.log_id(LIKES.name), LIKES.name, 0)
    table = lake.open_table("likes")
    table.append(table.read().drop_columns("_batch"), [PositionMove(app_id, -1, 0)])
    publish(broker, LIKES, 3, "like")
    broker.trim(LIKES.name, {0: 4})
    assert accept_gap(broker, lake, Gap(LIKES.name, 0, 1, 3)).lost == lost


def test_the_check_names_what_is_stopped(broker, lake):
    assert (check_stopped(broker, lake).ok, check_stopped(broker, lake).parts) == (True, {})
    make_gap(broker, lake)
    broker.compacted = frozenset({SKIPS.name})
    found = check_stopped(broker, lake)
    assert (found.ok, found.found) == (False, 6)
    assert found.parts["user_likes[0]:5-9 missing"] == 5
    accept_gap(broker, lake, Gap.parse("user_likes[0]:5-9"))
    broker.compacted = frozenset()
    assert check_stopped(broker, lake).ok


def test_a_restored_old_copy_stops_its_topic_alone(broker, lake):
    publish(broker, LIKES, 5, "like")
    drain(broker, lake)
    del broker._topics[LIKES.name][0].rows[3:]
    publish(broker, PLAYS, 3)
    observer = StoppedObserver()
    with pytest.raises(LogReplaced):
        drain(broker, lake, observer=observer)
    assert (count_rows(lake), observer.lag[LIKES.name]) == ((5, 3), {0: 0})


def test_a_stopped_topic_continues_in_the_running_sink_once_its_gap_is_accepted(broker, lake):
    make_gap(broker, lake)
    observer, stop = StoppedObserver(), threading.Event()

    def proceed(done: int) -> None:
        if done == 3:  # the plays: the topic is stopped, or about to be
            accept_gap(broker, lake, Gap.parse("user_likes[0]:5-9"))
            publish(broker, PLAYS, 1)
        elif count_rows(lake) == (7, 4):
            stop.set()

    sink = Sink(broker, lake, SinkLimits(max_seconds=0.05), topics=[LIKES, PLAYS], observer=observer, recheck_seconds=0.2)
    assert sink.run(stop=stop, on_progress=proceed, for_seconds=60).topics[LIKES.name].events == 2
    assert (stop.is_set(), count_rows(lake)) == (True, (7, 4))
    assert observer.stopped == {LIKES.name: False, PLAYS.name: False}


def test_a_live_sink_without_a_topic_to_continue_ends(broker, lake):
    make_gap(broker, lake)
    begun = time.monotonic()
    with pytest.raises(OffsetGap):
        Sink(broker, lake, SinkLimits(), topics=[LIKES]).run(for_seconds=60)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("recheck_seconds", [0.0, 60.0])
def test_the_error_is_not_lost_when_the_end_meets_a_recheck(broker, lake, recheck_seconds):
    make_gap(broker, lake)
    with pytest.raises(OffsetGap):
        Sink(broker, lake, SinkLimits(max_seconds=0.05), topics=[LIKES, PLAYS], recheck_seconds=recheck_seconds).run(for_seconds=1)


def test_the_check_is_right_while_a_sink_stores_and_retention_deletes(broker, lake):
    publish(broker, LIKES, 5, "like")
    drain(broker, lake)
    open_table = lake.open_table

    def open_and_store(name, *rest):
        if name != LIKES.table:
            return open_table(name, *rest)
        lake.open_table = open_table
        store_five()  # the position in the view is beyond the end that was read before it
        table = open_table(name, *rest)
        store_five()
        broker.trim(LIKES.name, {0: 12})  # and below the begin that is read after it
        return table

    def store_five() -> None:
        publish(broker, LIKES, 5, "like")
        drain(broker, lake)

    lake.open_table = open_and_store
    assert check_stopped(broker, lake).ok
