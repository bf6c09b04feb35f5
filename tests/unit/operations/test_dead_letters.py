"""Rejected records on a log in memory: listed, shown, and published again once, however often and wherever a replay is interrupted."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Timer

import pytest

from soundlake.broker import OffsetRange
from soundlake.broker.memory import MemoryBroker
from soundlake.contract import TOPICS, wrap_refused_row
from soundlake.errors import DataError, Unavailable, UsageError
from soundlake.lake import CommitConflict, Lake
from soundlake.local_files import try_lock
from soundlake.operations.dead_letters import DeadLetterFilter, RecordId, Replayer, find_dead_letter, list_dead_letters
from soundlake.operations.dead_letters.escaped_bytes import preview_bytes
from soundlake.operations.dead_letters.log_search import hash_record
from soundlake.operations.dead_letters.models import ReplayStep
from soundlake.operations.dead_letters.repair_program import repair_with_program
from soundlake.operations.dead_letters.replayer import CHECKPOINTS, DLQ_LOCK
from soundlake.progress import StepList
from soundlake.reconciliation.log_vs_bronze import check_log
from soundlake.settings import Address
from soundlake.sink import Sink, SinkLimits

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
LATER = NOW + timedelta(days=2)
EVERYTHING = DeadLetterFilter()


class Interrupted(Exception):
    """The replay ends here, as if its process had been killed."""


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

    def replay(self, wanted=EVERYTHING, *, home=None, die_at=None, broker=None, in_flight_seconds=0.0, **options):
        def checkpoint(point: str) -> None:
            if point == die_at:
                raise Interrupted

        replayer = Replayer(
            broker or self.broker, self.lake, home or self.home, StepList(), in_flight_seconds=in_flight_seconds, clock=lambda: self.now,
            on_checkpoint=checkpoint,
        )  # fmt: skip
        return replayer.replay(wanted, **options)

    def count(self, topic) -> Counter:
        found: Counter = Counter()
        for partition, held in self.broker.offsets(topic).items():
            found.update(self.broker.fetch(topic, partition, held.begin, max_records=1000, max_bytes=10**6).values.to_pylist())
        return found


class PausedBroker:
    """A log that first does not answer; 0.3 s after it does, it appends what a dead process had sent to it."""

    def __init__(self, log: MemoryBroker, topic: str, sent: list[bytes]) -> None:
        self._log, self._is_paused = log, True
        self._late = Timer(0.3, log.append, (topic, [b"ann"] * len(sent), sent))

    def __getattr__(self, name: str):
        return getattr(self._log, name)

    def offsets(self, topic: str) -> dict[int, OffsetRange]:
        if self._is_paused:
            time.sleep(0.5)
            self._is_paused = False
            self._late.start()
        return self._log.offsets(topic)


@pytest.fixture
def deployment(tmp_path) -> Deployment:
    return Deployment(tmp_path)


def event(kind="play", **fields) -> bytes:
    fields = {"event_id": str(uuid.uuid4()), "event_type": kind, "user_id": "ann", "played_at": "2026-11-22T16:00:00Z", **fields}
    return json.dumps(fields, ensure_ascii=False).encode()


def from_tomorrow() -> bytes:
    """Rejected for its time, and decodable two days later."""
    return event(played_at="2026-11-24T00:00:00Z")


def test_a_listing_has_counts_and_the_newest_records_first(deployment):
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
    assert listing.records[2].detail == "user_plays does not carry events of type like"


def test_filters_select_by_reason_topic_and_time(deployment):
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


def test_a_record_that_decodes_after_a_fix_is_published_once_and_the_others_stay(deployment):
    late, wrong = from_tomorrow(), b"nonsense"
    deployment.publish("user_plays", late, wrong, late)
    deployment.now = LATER
    report = deployment.replay()
    assert (report.replayed, report.still_rejected) == (2, {"not_json": 1})
    assert deployment.replay().replayed_before == 2
    assert deployment.count("user_plays") == {late: 4, wrong: 1}
    deployment.drain()
    assert deployment.lake.read("plays").num_rows == 2
    assert deployment.lake.read("rejected").num_rows == 3
    assert all(check.ok for check in check_log(deployment.broker, deployment.lake))
    assert list_dead_letters(deployment.lake, DeadLetterFilter(), 9).replayed == 2
    assert {record.replay for record in list_dead_letters(deployment.lake, DeadLetterFilter(), 9).records} == {ReplayStep.PUBLISHED, None}


def test_a_replay_keeps_key_and_order(deployment):
    values = [from_tomorrow() for _ in range(5)]
    deployment.publish("user_plays", *values, key=b"bea")
    deployment.now = LATER
    deployment.replay()
    [(partition, held)] = [(number, held) for number, held in deployment.broker.offsets("user_plays").items() if held.end]
    records = deployment.broker.fetch("user_plays", partition, 5, max_records=99, max_bytes=10**6)
    assert held.end == 10
    assert records.values.to_pylist() == values
    assert set(records.keys.to_pylist()) == {b"bea"}


def test_a_record_of_the_wrong_topic_is_published_to_the_topic_that_is_given(deployment):
    like = event("like")
    deployment.publish("user_plays", like, event("skip"))
    assert deployment.replay().replayed == 0
    report = deployment.replay(target="user_likes")
    assert (report.replayed, report.still_rejected) == (1, {"wrong_topic": 1})
    assert deployment.count("user_likes") == {like: 1}


@pytest.mark.parametrize("point", CHECKPOINTS)
@pytest.mark.parametrize("kills", [1, 3])
def test_a_replay_interrupted_at_any_point_publishes_each_record_once_when_it_is_run_again(deployment, point, kills):
    values = [from_tomorrow() for _ in range(3)]
    deployment.publish("user_plays", *values)
    deployment.publish("user_plays", *values[:1], key=b"bea")
    deployment.now = LATER
    for _ in range(kills):
        try:
            deployment.replay(die_at=point)
        except Interrupted:
            deployment.publish("user_plays", event())
    report = deployment.replay()
    assert report.interrupted_published + report.replayed + report.replayed_before >= 4
    before = {values[0]: 2, values[1]: 1, values[2]: 1}
    assert {value: count - before[value] for value, count in deployment.count("user_plays").items() if value in before} == before


def test_the_report_counts_what_an_interrupted_run_published_and_what_it_did_not(deployment):
    deployment.publish("user_plays", from_tomorrow(), from_tomorrow())
    deployment.now = LATER
    with pytest.raises(Interrupted):
        deployment.replay(die_at="published")
    report = deployment.replay()
    assert (report.interrupted_published, report.interrupted_lost, report.replayed) == (2, 0, 0)
    with pytest.raises(Interrupted):
        deployment.replay(die_at="intent_recorded", again=True)
    report = deployment.replay()
    assert (report.interrupted_published, report.interrupted_lost, report.replayed) == (0, 2, 2)


def test_records_that_a_dead_run_sent_to_a_paused_log_are_waited_for_however_old_the_run_is(deployment):
    value = from_tomorrow()
    deployment.publish("user_plays", value)
    deployment.now = LATER
    with pytest.raises(Interrupted):
        deployment.replay(die_at="intent_recorded")
    deployment.now = LATER + timedelta(hours=1)
    report = deployment.replay(broker=PausedBroker(deployment.broker, "user_plays", [value]), in_flight_seconds=1.0)
    assert (report.interrupted_published, report.replayed) == (1, 0)
    assert deployment.count("user_plays")[value] == 2, "once as rejected, once as replayed"


def test_if_the_log_was_recreated_nothing_is_published_twice_without_again(deployment):
    deployment.publish("user_plays", from_tomorrow())
    deployment.now = LATER
    with pytest.raises(Interrupted):
        deployment.replay(die_at="published")
    deployment.broker = MemoryBroker(clock=lambda: LATER)
    deployment.broker.create_topics(TOPICS, partitions=2)
    report = deployment.replay()
    assert (report.interrupted_unknown, report.replayed, report.replayed_before) == (1, 0, 1)
    assert deployment.replay(again=True).replayed == 1


def test_a_record_trimmed_from_the_log_is_unknown(deployment):
    deployment.publish("user_plays", from_tomorrow())
    deployment.now = LATER
    with pytest.raises(Interrupted):
        deployment.replay(die_at="published")
    deployment.drain()
    deployment.broker.trim("user_plays", {0: 99, 1: 99})
    assert deployment.replay().interrupted_unknown == 1


class FailingBroker(MemoryBroker):
    """Raises, or appends and does not acknowledge."""

    def __init__(self, inner, failure) -> None:
        self.__dict__.update(inner.__dict__)
        self._failure = failure

    def append(self, topic, keys, values):
        if self._failure == "raises":
            raise Unavailable("the disk is full")
        delivery = super().append(topic, keys, values)
        return type(delivery)(delivery.count, {}, dict.fromkeys(range(delivery.count), "no answer"))


def test_a_failed_append_is_tried_again_and_an_unacknowledged_one_is_searched_for(deployment):
    value = from_tomorrow()
    deployment.publish("user_plays", value)
    deployment.now = LATER
    report = deployment.replay(broker=FailingBroker(deployment.broker, "raises"))
    assert (report.replayed, report.failed, report.is_complete) == (0, {"the disk is full": 1}, False)
    report = deployment.replay(broker=FailingBroker(deployment.broker, "does not acknowledge"))
    assert (report.replayed, report.unsure, report.is_complete) == (0, 1, False)
    assert deployment.replay().interrupted_published == 1
    assert deployment.count("user_plays") == {value: 2}


def test_a_replay_that_was_paused_before_publishing_gives_up_and_the_next_one_publishes(deployment):
    value = from_tomorrow()
    deployment.publish("user_plays", value)
    deployment.now = LATER

    def pause(point: str) -> None:
        if point == "intent_recorded":
            deployment.now += timedelta(seconds=61)

    paused = Replayer(deployment.broker, deployment.lake, deployment.home, StepList(), clock=lambda: deployment.now, on_checkpoint=pause)
    with pytest.raises(Unavailable, match="paused before it could publish"):
        paused.replay(EVERYTHING)
    assert deployment.count("user_plays") == {value: 1}
    report = deployment.replay()
    assert (report.interrupted_lost, report.replayed) == (1, 1)


def test_a_limit_is_the_number_of_records_that_are_looked_at(deployment):
    deployment.publish("user_plays", *(from_tomorrow() for _ in range(3)))
    deployment.now = LATER
    assert deployment.replay(limit=2).replayed == 2
    assert deployment.replay(limit=2).replayed == 1


def test_a_null_and_an_empty_key_or_value_have_different_hashes():
    parts = (None, b"", b"-", b"0:", b"1:-")
    assert len({hash_record(key, value) for key in parts for value in parts}) == len(parts) ** 2


def test_a_second_replay_of_a_home_is_refused(deployment):
    with try_lock(deployment.home / DLQ_LOCK), pytest.raises(Unavailable, match="another replay is running"):
        deployment.replay()


def test_a_replay_of_another_home_is_waited_for_until_its_lease_is_over(deployment, tmp_path):
    deployment.publish("user_plays", from_tomorrow())
    deployment.now = LATER
    with pytest.raises(Interrupted):
        deployment.replay(die_at="intent_recorded", home=tmp_path / "other")
    with pytest.raises(Unavailable, match=r"other started 0 s ago and has not ended\n→ wait for its end"):
        deployment.replay()
    deployment.now += timedelta(seconds=301)
    report = deployment.replay()
    assert (report.interrupted_lost, report.replayed) == (1, 1)


def test_of_two_replays_of_the_same_records_one_fails_with_a_conflict(deployment, tmp_path):
    value = from_tomorrow()
    deployment.publish("user_plays", value)
    deployment.now = LATER
    rival = Replayer(deployment.broker, deployment.lake, tmp_path / "rival", StepList(), clock=lambda: LATER)

    def replay_by_the_rival(values):
        rival.replay(DeadLetterFilter())
        return values

    with pytest.raises(CommitConflict):
        deployment.replay(repair=replay_by_the_rival)
    assert deployment.count("user_plays") == {value: 2}


def test_refused_rows_of_imports_are_not_replayed(deployment):
    deployment.publish("user_history", wrap_refused_row("no_time", "spotify_export", "ann", {"ts": None}))
    report = deployment.replay()
    assert (report.import_rows, report.replayed, report.still_rejected) == (1, 0, {})
    assert deployment.count("user_history").total() == 1


def test_a_repair_program_gets_each_value_and_what_decodes_then_is_published(deployment):
    broken = b'{"event_id":"17ee7f5a-08a0-4b84-a31c-36a33e6cb7b7","event_type":"play","played_at":"2026-11-22T16:00:00Z","ms_played":1.0}'
    deployment.publish("user_plays", broken, b"not sent,\nas it has a line break", b"nonsense")
    report = deployment.replay(repair=repair_with_program("sed s/1.0}/1}/;s/^nonsense$//"))
    assert (report.replayed, report.left_out, report.still_rejected) == (1, 2, {})
    deployment.drain()
    assert deployment.lake.read("plays", ["ms_played"])["ms_played"].to_pylist() == [1]
    assert deployment.replay(repair=repair_with_program("cat")).replayed_before == 1


@pytest.mark.parametrize(
    ("command", "error", "message"),
    [
        ("no-such-program", UsageError, "cannot be started"),
        ("head -n 1", DataError, "1 lines for 2 records"),
        (f"{sys.executable} -c 'raise SystemExit(4)'", DataError, "exit code 4"),
    ],
    ids=["no program", "too few lines", "fails"],
)
def test_a_repair_program_that_fails_publishes_nothing(deployment, command, error, message):
    deployment.publish("user_plays", b"{", b"[")
    with pytest.raises(error, match=message):
        deployment.replay(repair=repair_with_program(command))
    assert deployment.count("user_plays").total() == 2


def test_a_record_is_shown_whole_with_its_coordinates(deployment):
    value = b"nonsense \x1b[31m " + "夜".encode() * 400
    deployment.publish("user_plays", event(), value, key=b"ann\n")
    [listed] = list_dead_letters(deployment.lake, EVERYTHING, 9).records
    found = find_dead_letter(deployment.lake, RecordId.parse(str(listed.id)))
    assert (found.value, found.escaped_value) == (value, "nonsense \\x1b[31m " + "夜" * 400)
    assert (found.summary.topic, found.summary.partition, found.summary.offset) == ("user_plays", listed.partition, 1)
    assert (found.summary.reason, found.summary.log, found.summary.key) == ("not_json", listed.log, "ann\\n")
    assert found.summary.detail.startswith(listed.detail.removesuffix("…"))


def test_a_record_that_was_replayed_says_when(deployment):
    deployment.publish("user_plays", from_tomorrow())
    [listed] = list_dead_letters(deployment.lake, EVERYTHING, 9).records
    assert find_dead_letter(deployment.lake, listed.id).summary.replay is None
    deployment.now = LATER
    deployment.replay()
    summary = find_dead_letter(deployment.lake, listed.id).summary
    assert (summary.replay, summary.replayed_at) == (ReplayStep.PUBLISHED, LATER)


def test_records_of_two_logs_with_equal_coordinates_are_distinguished_by_the_log(deployment):
    deployment.publish("user_plays", b"first")
    deployment.broker = MemoryBroker(clock=lambda: LATER)
    deployment.broker.create_topics(TOPICS, partitions=2)
    deployment.publish("user_plays", b"second")
    records = list_dead_letters(deployment.lake, EVERYTHING, 9).records
    with pytest.raises(UsageError, match="several logs") as error:
        find_dead_letter(deployment.lake, records[0].id)
    ids = [replace(record.id, log=record.log) for record in records]
    assert all(str(one) in str(error.value) for one in ids)
    assert {find_dead_letter(deployment.lake, RecordId.parse(str(one))).value for one in ids} == {b"first", b"second"}


def test_an_id_without_a_record_is_wrong_use(deployment):
    deployment.publish("user_plays", event())
    with pytest.raises(UsageError, match="no rejected record has this id"):
        find_dead_letter(deployment.lake, RecordId("user_plays", 0, 0))


@pytest.mark.parametrize("text", ["", "user_plays", "user_plays/0", "user_plays/0/x", "user_plays/-1/0", "/0/0", "user_plays/0/²"])
def test_a_text_that_is_no_id_is_wrong_use(text):
    with pytest.raises(UsageError, match="TOPIC/PARTITION/OFFSET"):
        RecordId.parse(text)


@pytest.mark.parametrize("text", ["user_plays/0/12", "MkU3OEVBNTcwNTJENDM2Qg/nrP_x/user_plays/3/7"], ids=["short", "with the log"])
def test_an_id_is_written_as_it_is_read(text):
    assert str(RecordId.parse(text)) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "(null)"),
        (b"", ""),
        ("夜に駆ける".encode(), "夜に駆ける"),
        (b"\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\u202eb\u2028c".encode(), "a\\u202eb\\u2028c"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"x" * 120, "x" * 120),
        (b"x" * 121, "x" * 120 + "…"),
        ("🎵".encode() * 121, "🎵" * 120 + "…"),
    ],
    ids=["null", "empty", "letters", "terminal codes", "direction marks", "not UTF-8", "120", "121", "121 of four bytes"],
)
def test_a_preview_is_safe_to_print(value, shown):
    assert preview_bytes(value) == shown


def test_a_character_cut_in_two_by_the_limit_does_not_change_the_preview():
    assert preview_bytes("夜".encode() * 200, characters=3) == "夜夜夜…"
