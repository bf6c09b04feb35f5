"""Rejected records on a log in memory: listed with their reasons, published anew once, however often and wherever it is cut short."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from threading import Timer

import pytest
from typer.testing import CliRunner

from soundlake.broker import OffsetRange
from soundlake.broker.memory import MemoryBroker
from soundlake.cli.app import app
from soundlake.contract import TOPICS, wrap_refused_row
from soundlake.errors import DataError, Unavailable, UsageError
from soundlake.lake import Lake
from soundlake.lake.store_errors import CommitConflict
from soundlake.local_files import try_lock
from soundlake.operations.dead_letters import DeadLetterFilter, Replayer, list_dead_letters
from soundlake.operations.dead_letters.models import Step
from soundlake.operations.dead_letters.preview import preview
from soundlake.operations.dead_letters.repair_program import repair_with_program
from soundlake.operations.dead_letters.replayer import DLQ_LOCK
from soundlake.progress import StepList
from soundlake.reconciliation.log_vs_bronze import check_log
from soundlake.settings import Address
from soundlake.sink import Sink, SinkLimits

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
LATER = NOW + timedelta(days=2)
EVERYTHING = DeadLetterFilter()


class Interrupted(Exception):
    """Stands for a death at a point."""


class Deployment:
    """A log, a lake and a home; the clock is set by hand."""

    def __init__(self, home) -> None:
        self.home, self.now = home, NOW
        self.broker = MemoryBroker(clock=lambda: self.now)
        self.broker.create_topics(TOPICS, partitions=2)
        self.lake = Lake(Address(f"file://{home}/lake", "file", path=home / "lake"))
        self.lake.ensure_tables()

    def publish(self, topic, *values, key=b"ann") -> None:
        self.broker.append(topic, [key] * len(values), list(values))
        self.drain()

    def drain(self) -> None:
        Sink(self.broker, self.lake, SinkLimits(), clock=lambda: self.now).run(until_drained=True)

    def replay(self, wanted=EVERYTHING, *, home=None, die_at=None, broker=None, grace_seconds=0.0, **options):
        def checkpoint(point: str) -> None:
            if point == die_at:
                raise Interrupted

        replayer = Replayer(
            broker or self.broker, self.lake, home or self.home, StepList(), grace_seconds=grace_seconds, clock=lambda: self.now,
            checkpoint=checkpoint,
        )  # fmt: skip
        return replayer.replay(wanted, **options)

    def count(self, topic) -> Counter:
        found: Counter = Counter()
        for partition, held in self.broker.offsets(topic).items():
            found.update(self.broker.fetch(topic, partition, held.begin, max_records=1000, max_bytes=10**6).values.to_pylist())
        return found


class HeldBroker:
    """A log that does not answer at first; a moment after it has begun to, what a dead process had sent to it is in the log."""

    def __init__(self, log: MemoryBroker, topic: str, sent: list[bytes]) -> None:
        self._log, self._is_held = log, True
        self._late = Timer(0.3, log.append, (topic, [b"ann"] * len(sent), sent))

    def __getattr__(self, name: str):
        return getattr(self._log, name)

    def offsets(self, topic: str) -> dict[int, OffsetRange]:
        if self._is_held:
            time.sleep(0.5)
            self._is_held = False
            self._late.start()
        return self._log.offsets(topic)


@pytest.fixture
def deployment(tmp_path) -> Deployment:
    return Deployment(tmp_path)


def event(kind="play", **fields) -> bytes:
    told = {"event_id": str(uuid.uuid4()), "event_type": kind, "user_id": "ann", "played_at": "2026-11-22T16:00:00Z", **fields}
    return json.dumps(told, ensure_ascii=False).encode()


def from_tomorrow() -> bytes:
    """CommitConflict for its time, and good two days later."""
    return event(played_at="2026-11-24T00:00:00Z")


def test_what_was_rejected_is_listed_newest_first_with_reason_place_and_counts(deployment):
    deployment.publish("user_plays", event(), b"nonsense", event("like"))
    deployment.now = LATER
    deployment.publish("user_likes", b"{", None)
    listing = list_dead_letters(deployment.lake, DeadLetterFilter(), 3)
    assert (listing.total, listing.replayed) == (4, 0)
    assert listing.by_reason == {"not_json": 2, "null_value": 1, "wrong_topic": 1}
    assert listing.by_topic == {"user_likes": 2, "user_plays": 2}
    assert [(record.topic, record.offset, record.reason) for record in listing.records] == [
        ("user_likes", 1, "null_value"), ("user_likes", 0, "not_json"), ("user_plays", 2, "wrong_topic"),
    ]  # fmt: skip
    assert (listing.records[0].preview, listing.records[0].bytes, listing.records[0].key) == ("(null)", 0, "ann")
    assert (listing.records[1].preview, listing.records[1].bytes) == ("{", 1)
    assert listing.records[2].event_id
    assert listing.records[2].detail == "a like does not belong to user_plays"


def test_filters_choose_by_reason_topic_and_time(deployment):
    deployment.publish("user_plays", b"nonsense", event("like"))
    deployment.now = LATER
    deployment.publish("user_likes", b"{")
    wanted = [
        DeadLetterFilter(reasons=("wrong_topic",)),
        DeadLetterFilter(topics=("user_plays",)),
        DeadLetterFilter(since=NOW + timedelta(hours=1)),
        DeadLetterFilter(("no_such",)),
    ]
    assert [list_dead_letters(deployment.lake, one, 9).total for one in wanted] == [1, 2, 1, 0]
    assert list_dead_letters(deployment.lake, DeadLetterFilter(), 0).records == ()


def test_what_decodes_after_a_fix_is_published_once_and_the_rest_stays(deployment):
    late, wrong = from_tomorrow(), b"nonsense"
    deployment.publish("user_plays", late, wrong, late)
    deployment.now = LATER
    report = deployment.replay()
    assert (report.replayed, report.still_refused) == (2, {"not_json": 1})
    assert deployment.replay().replayed_before == 2
    assert deployment.count("user_plays") == {late: 4, wrong: 1}
    deployment.drain()
    assert deployment.lake.read("plays").num_rows == 2
    assert deployment.lake.read("rejected").num_rows == 3
    assert all(check.ok for check in check_log(deployment.broker, deployment.lake))
    assert list_dead_letters(deployment.lake, DeadLetterFilter(), 9).replayed == 2
    assert {record.replay for record in list_dead_letters(deployment.lake, DeadLetterFilter(), 9).records} == {Step.PUBLISHED, None}


def test_key_and_order_are_kept(deployment):
    values = [from_tomorrow() for _ in range(5)]
    deployment.publish("user_plays", *values, key=b"bea")
    deployment.now = LATER
    deployment.replay()
    [(partition, held)] = [(number, held) for number, held in deployment.broker.offsets("user_plays").items() if held.end]
    records = deployment.broker.fetch("user_plays", partition, 5, max_records=99, max_bytes=10**6)
    assert held.end == 10
    assert records.values.to_pylist() == values
    assert set(records.keys.to_pylist()) == {b"bea"}


def test_what_came_on_the_wrong_topic_goes_to_the_one_that_is_named(deployment):
    like = event("like")
    deployment.publish("user_plays", like, event("skip"))
    assert deployment.replay().replayed == 0
    report = deployment.replay(target="user_likes")
    assert (report.replayed, report.still_refused) == (1, {"wrong_topic": 1})
    assert deployment.count("user_likes") == {like: 1}


@pytest.mark.parametrize("point", ["begun", "published", "marked"])
@pytest.mark.parametrize("deaths", [1, 3])
def test_cut_short_anywhere_and_run_again_each_is_published_once(deployment, point, deaths):
    values = [from_tomorrow() for _ in range(3)]
    deployment.publish("user_plays", *values)
    deployment.publish("user_plays", *values[:1], key=b"bea")
    deployment.now = LATER
    for _ in range(deaths):
        try:
            deployment.replay(die_at=point)
        except Interrupted:
            deployment.publish("user_plays", event())
    report = deployment.replay()
    assert report.found_of_an_earlier_run + report.replayed + report.replayed_before >= 4
    before = {values[0]: 2, values[1]: 1, values[2]: 1}
    assert {value: count - before[value] for value, count in deployment.count("user_plays").items() if value in before} == before


def test_cut_short_between_publishing_and_marking_it_says_what_it_found(deployment):
    deployment.publish("user_plays", from_tomorrow(), from_tomorrow())
    deployment.now = LATER
    with pytest.raises(Interrupted):
        deployment.replay(die_at="published")
    report = deployment.replay()
    assert (report.found_of_an_earlier_run, report.lost_of_an_earlier_run, report.replayed) == (2, 0, 0)
    with pytest.raises(Interrupted):
        deployment.replay(die_at="begun", again=True)
    report = deployment.replay()
    assert (report.found_of_an_earlier_run, report.lost_of_an_earlier_run, report.replayed) == (0, 2, 2)


def test_what_a_dead_run_had_sent_to_a_log_that_was_held_is_waited_for_however_long_ago_it_was(deployment):
    value = from_tomorrow()
    deployment.publish("user_plays", value)
    deployment.now = LATER
    with pytest.raises(Interrupted):
        deployment.replay(die_at="begun")
    deployment.now = LATER + timedelta(hours=1)
    report = deployment.replay(broker=HeldBroker(deployment.broker, "user_plays", [value]), grace_seconds=1.0)
    assert (report.found_of_an_earlier_run, report.replayed) == (1, 0)
    assert deployment.count("user_plays")[value] == 2, "as it was rejected, and as it was replayed"


def test_where_the_log_that_could_tell_is_gone_nothing_is_published_twice_unless_asked(deployment):
    deployment.publish("user_plays", from_tomorrow())
    deployment.now = LATER
    with pytest.raises(Interrupted):
        deployment.replay(die_at="published")
    deployment.broker = MemoryBroker(clock=lambda: LATER)
    deployment.broker.create_topics(TOPICS, partitions=2)
    report = deployment.replay()
    assert (report.unknown_of_an_earlier_run, report.replayed, report.replayed_before) == (1, 0, 1)
    assert deployment.replay(again=True).replayed == 1


def test_what_was_trimmed_from_the_log_cannot_be_known_either(deployment):
    deployment.publish("user_plays", from_tomorrow())
    deployment.now = LATER
    with pytest.raises(Interrupted):
        deployment.replay(die_at="published")
    deployment.drain()
    deployment.broker.trim("user_plays", {0: 99, 1: 99})
    assert deployment.replay().unknown_of_an_earlier_run == 1


class DeafBroker(MemoryBroker):
    """Takes nothing, or takes it and does not say so."""

    def __init__(self, inner, fate) -> None:
        self.__dict__.update(inner.__dict__)
        self._fate = fate

    def append(self, topic, keys, values):
        if self._fate == "refuses":
            raise Unavailable("the disk is full")
        delivery = super().append(topic, keys, values)
        return type(delivery)(delivery.count, {}, dict.fromkeys(range(delivery.count), "no answer"))


def test_what_the_log_refuses_is_offered_again_and_what_may_be_there_is_looked_for(deployment):
    value = from_tomorrow()
    deployment.publish("user_plays", value)
    deployment.now = LATER
    report = deployment.replay(broker=DeafBroker(deployment.broker, "refuses"))
    assert (report.replayed, report.failed, report.is_whole) == (0, {"the disk is full": 1}, False)
    report = deployment.replay(broker=DeafBroker(deployment.broker, "does not say"))
    assert (report.replayed, report.unsure, report.is_whole) == (0, 1, False)
    assert deployment.replay().found_of_an_earlier_run == 1
    assert deployment.count("user_plays") == {value: 2}


def test_two_replays_of_a_home_do_not_run_at_once(deployment):
    with try_lock(deployment.home / DLQ_LOCK), pytest.raises(Unavailable, match="another replay is running"):
        deployment.replay()


def test_a_replay_of_another_home_is_waited_for_until_it_can_only_be_dead(deployment, tmp_path):
    deployment.publish("user_plays", from_tomorrow())
    deployment.now = LATER
    with pytest.raises(Interrupted):
        deployment.replay(die_at="begun", home=tmp_path / "other")
    with pytest.raises(Unavailable, match=r"other began 0 s ago has not ended\n→ wait for its end"):
        deployment.replay()
    deployment.now += timedelta(seconds=301)
    report = deployment.replay()
    assert (report.lost_of_an_earlier_run, report.replayed) == (1, 1)


def test_of_two_replays_that_chose_the_same_records_one_gives_way(deployment, tmp_path):
    value = from_tomorrow()
    deployment.publish("user_plays", value)
    deployment.now = LATER
    rival = Replayer(deployment.broker, deployment.lake, tmp_path / "rival", StepList(), clock=lambda: LATER)

    def let_the_other_go_first(values):
        rival.replay(DeadLetterFilter())
        return values

    with pytest.raises(CommitConflict):
        deployment.replay(mend=let_the_other_go_first)
    assert deployment.count("user_plays") == {value: 2}


def test_rows_of_imports_are_not_replayed(deployment):
    deployment.publish("user_history", wrap_refused_row("no_time", "spotify_export", "ann", {"ts": None}))
    report = deployment.replay()
    assert (report.rows_of_imports, report.replayed, report.still_refused) == (1, 0, {})
    assert deployment.count("user_history").total() == 1


def test_a_mending_command_sees_each_value_and_only_what_decodes_then_is_published(deployment):
    broken = b'{"event_id":"17ee7f5a-08a0-4b84-a31c-36a33e6cb7b7","event_type":"play","played_at":"2026-11-22T16:00:00Z","ms_played":1.0}'
    deployment.publish("user_plays", broken, b"left alone\nfor its line break", b"nonsense")
    report = deployment.replay(mend=repair_with_program("sed s/1.0}/1}/;s/^nonsense$//"))
    assert (report.replayed, report.left_out, report.still_refused) == (1, 2, {})
    deployment.drain()
    assert deployment.lake.read("plays", ["ms_played"])["ms_played"].to_pylist() == [1]
    assert deployment.replay(mend=repair_with_program("cat")).replayed_before == 1


@pytest.mark.parametrize(
    ("command", "kind", "said"),
    [
        ("no-such-program", UsageError, "it cannot be started"),
        ("head -n 1", DataError, "1 lines for 2 records"),
        (f"{sys.executable} -c 'raise SystemExit(4)'", DataError, "exit code 4"),
    ],
    ids=["no program", "too few lines", "fails"],
)
def test_a_mending_command_that_does_not_work_publishes_nothing(deployment, command, kind, said):
    deployment.publish("user_plays", b"{", b"[")
    with pytest.raises(kind, match=said):
        deployment.replay(mend=repair_with_program(command))
    assert deployment.count("user_plays").total() == 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "(null)"),
        ("夜に駆ける".encode(), "夜に駆ける"),
        (b"\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\u202eb\u2028c".encode(), "a\\u202eb\\u2028c"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"x" * 121, "x" * 120 + "…"),
    ],
    ids=["null", "letters", "terminal codes", "direction marks", "no UTF-8", "long"],
)
def test_a_preview_is_safe_to_print(value, shown):
    assert preview(value) == shown


def test_the_command_lists_and_replays(deployment, monkeypatch):
    monkeypatch.setenv("SOUNDLAKE_HOME", str(deployment.home / "home"))
    run = CliRunner().invoke
    listed = run(app, ["dlq", "list", "--json"])
    assert json.loads(listed.stdout) == {"total": 0, "replayed": 0, "by_reason": {}, "by_topic": {}, "records": []}
    assert json.loads(run(app, ["dlq", "replay", "--json", "--since", "2h"]).stdout)["replayed"] == 0
    assert "user_plays" in str(run(app, ["dlq", "list", "--topic", "plays"]).exception)
    assert "neither a moment" in str(run(app, ["dlq", "list", "--since", "soon"]).exception)
