"""The publisher reports an outcome for every event, whatever the broker does."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.broker.broker_contract import SteppingClock, read_all

from soundlake.broker import Delivery, MemoryBroker, Publisher, PublishReport
from soundlake.contract import HISTORY, TOPICS
from soundlake.contract.topics import LIKES, PLAYS, SKIPS
from soundlake.errors import DataError, Unavailable
from soundlake.retries import retry_policy


class FailingBroker(MemoryBroker):
    """Answers each append with the next of the given outcomes: an error to raise, or a delivery to return without storing anything."""

    def __init__(self, *outcomes: Exception | Delivery | None) -> None:
        super().__init__()
        self.create_topics(TOPICS, partitions=2)
        self.outcomes = list(outcomes)
        self.calls = 0

    def append(self, topic, keys, values):
        self.calls += 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome or super().append(topic, keys, values)


def open_publisher(broker, clock=None, **options):
    return Publisher(
        broker,
        clock or SteppingClock(),
        **options,
        retry=retry_policy(first_wait_seconds=0.1, longest_wait_seconds=1, stop=3, sleep=lambda seconds: None),
    )


def make_events(*kinds: str | None, **columns: list) -> pa.Table:
    return pa.table(
        {
            "event_id": [f"00000000-0000-4000-8000-{n:012d}" for n in range(len(kinds))],
            "event_type": pa.array(kinds, pa.string()),
            "user_id": [f"user-{n % 3}" for n in range(len(kinds))],
            **columns,
        }
    )


def stored(broker, topic) -> list[dict]:
    return [json.loads(value) for rows in read_all(broker, topic.name).values() for _, _, value in rows]


def test_each_event_goes_to_the_live_topic_of_its_type():
    broker = FailingBroker()
    report = open_publisher(broker).publish(make_events("play", "skip", "play", "like"))
    assert (report.sent, report.acknowledged, report.failed, report.unsure) == (4, 4, 0, 0)
    assert [len(stored(broker, topic)) for topic in (PLAYS, SKIPS, LIKES, HISTORY)] == [2, 1, 1, 0]


def test_a_given_topic_receives_all_its_types_in_order():
    broker = FailingBroker()
    open_publisher(broker).publish(make_events("play", "skip", "play", user_id=["ann"] * 3), topic=HISTORY)
    assert [event["event_type"] for event in stored(broker, HISTORY)] == ["play", "skip", "play"]


def test_types_without_a_topic_fail_with_the_reason_and_the_others_are_published():
    broker = FailingBroker()
    report = open_publisher(broker).publish(make_events("play", "dance", None, "skip"))
    assert report.acknowledged_rows.tolist() == [True, False, False, True]
    assert report.failed_by_reason == {"unknown event_type 'dance'": 1, "event_type is missing": 1}


def test_a_topic_refuses_a_type_that_is_not_its_own():
    report = open_publisher(FailingBroker()).publish(make_events("play", "skip"), topic=PLAYS)
    assert report.acknowledged_rows.tolist() == [True, False]
    assert report.failed_by_reason == {"event_type 'skip' does not belong on user_plays": 1}


def test_every_row_of_a_table_without_event_types_fails():
    report = open_publisher(FailingBroker()).publish(make_events("play", "skip").drop_columns("event_type"))
    assert report.failed_by_reason == {"event_type is missing": 2}


def test_the_listener_is_the_key_and_may_be_unknown():
    broker = FailingBroker()
    open_publisher(broker).publish(make_events("play", "play", user_id=["זמר", None]))
    open_publisher(broker).publish(make_events("play").drop_columns("user_id"))
    keys = [key for rows in read_all(broker, PLAYS.name).values() for _, key, _ in rows]
    assert keys.count(None) == 2
    assert keys.count("זמר".encode()) == 1


@pytest.mark.parametrize("earlier", [None, datetime(2020, 1, 1, tzinfo=UTC)], ids=["absent", "present"])
def test_produced_at_is_the_time_of_publishing(earlier):
    broker = FailingBroker()
    columns = {} if earlier is None else {"produced_at": pa.array([earlier], pa.timestamp("us", "UTC"))}
    open_publisher(broker, SteppingClock(datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC))).publish(make_events("play", **columns))
    assert stored(broker, PLAYS)[0]["produced_at"].startswith("2024-12-31T23:59:59")


def test_an_unavailable_log_is_tried_again_and_nothing_is_doubled():
    broker = FailingBroker(Unavailable("busy"), Unavailable("busy"))
    report = open_publisher(broker).publish(make_events("play", "play"))
    assert report.acknowledged == 2
    assert broker.calls == 3
    assert len(stored(broker, PLAYS)) == 2


def test_an_encoder_whose_registry_is_away_for_a_moment_is_tried_again():
    broker, answers = FailingBroker(), [Unavailable("the registry is away"), None]

    def encode(topic, events):
        if (error := answers.pop(0)) is not None:
            raise error
        return [f"{topic.name} {row}".encode() for row in range(len(events))]

    report = open_publisher(broker, encode=encode).publish(make_events("play", "play", user_id=["ann"] * 2))
    assert (report.acknowledged, answers) == (2, [])
    assert [value for rows in read_all(broker, PLAYS.name).values() for _, _, value in rows] == [b"user_plays 0", b"user_plays 1"]


def test_when_a_registry_stays_away_the_rows_fail_with_the_reason_and_nothing_is_in_the_log():
    def encode(topic, events):
        raise Unavailable("the registry is away", next_step="start it")

    broker = FailingBroker()
    report = open_publisher(broker, encode=encode).publish(make_events("play", "skip"))
    assert report.failed_by_reason == {"the registry is away (start it)": 2}
    assert broker.calls == 0


def test_when_the_log_stays_unavailable_the_remaining_rows_fail_with_the_next_step():
    down = Unavailable("no space left", next_step="free some")
    broker = FailingBroker(None, down, down, down)
    report = open_publisher(broker).publish(make_events(*["play"] * 10_000, *["skip"] * 5_000))
    assert report.acknowledged_rows.tolist() == [True] * 10_000 + [False] * 5_000
    assert report.failed_by_reason == {"no space left (free some)": 5_000}


def test_an_append_of_unknown_fate_is_unsure_and_not_sent_again():
    broker = FailingBroker(Delivery(3, {0: "too large"}, {2: "connection lost"}))
    report = open_publisher(broker).publish(make_events("play", "play", "play"))
    assert broker.calls == 1
    assert report.acknowledged_rows.tolist() == [False, True, False]
    assert report.unsure_rows.tolist() == [False, False, True]
    assert report.failed_by_reason == {"too large": 1}


def test_a_permanent_error_of_the_log_is_in_the_report():
    report = open_publisher(FailingBroker(DataError("created again"))).publish(make_events("play"))
    assert report.failed_by_reason == {"created again": 1}


def test_a_column_that_is_no_field_is_an_error_before_anything_is_sent():
    broker = FailingBroker()
    with pytest.raises(ValueError, match="favourite_colour"):
        open_publisher(broker).publish(make_events("play", favourite_colour=["red"]))
    assert broker.calls == 0


def test_an_empty_table_gives_an_empty_report():
    report = open_publisher(FailingBroker()).publish(make_events())
    assert (report.sent, report.acknowledged, report.failed, report.unsure) == (0, 0, 0, 0)


def test_a_large_table_of_several_types_is_reported_row_by_row():
    broker = FailingBroker()
    kinds = ["play", "skip", "dance", "like"] * 12_500
    report = open_publisher(broker).publish(make_events(*kinds))
    assert report.acknowledged_rows.tolist() == [kind != "dance" for kind in kinds]
    assert [len(stored(broker, topic)) for topic in (PLAYS, SKIPS, LIKES)] == [12_500] * 3


def test_event_types_may_be_dictionary_encoded():
    broker = FailingBroker()
    events = make_events("play", None, "play")
    events = events.set_column(1, "event_type", events["event_type"].dictionary_encode())
    assert open_publisher(broker).publish(events).acknowledged_rows.tolist() == [True, False, True]


def test_raw_records_are_published_unchanged():
    broker = FailingBroker(Unavailable("busy"))
    delivery = open_publisher(broker).publish_raw(PLAYS, [b"ann", None], [b"{broken", None])
    assert delivery.acknowledged == 2
    assert sorted((row[2] for rows in read_all(broker, PLAYS.name).values() for row in rows), key=repr) == [None, b"{broken"]


def test_raw_records_that_cannot_be_sent_all_fail():
    delivery = open_publisher(FailingBroker(*[Unavailable("down")] * 3)).publish_raw(PLAYS, [None] * 2, [b"1", b"2"])
    assert delivery.acknowledged == 0
    assert delivery.failed == {0: "down", 1: "down"}


OUTCOMES = st.lists(
    st.none()
    | st.just(Unavailable("down"))
    | st.just(DataError("gone"))
    | st.sampled_from([({0: "too large"}, {}), ({}, {0: "lost"}), ({1: "too large"}, {0: "lost"})]),
    max_size=6,
)


@given(st.lists(st.sampled_from(["play", "skip", "dance", None]), max_size=12), OUTCOMES)
def test_sent_is_always_the_sum_of_acknowledged_failed_and_unsure(kinds, outcomes):
    class Failing(FailingBroker):
        def append(self, topic, keys, values):
            if self.outcomes and isinstance(self.outcomes[0], tuple):
                self.outcomes[0] = Delivery(len(values), *({i: r for i, r in part.items() if i < len(values)} for part in self.outcomes[0]))
            return super().append(topic, keys, values)

    report = open_publisher(Failing(*outcomes)).publish(make_events(*kinds))
    assert report.sent == len(kinds) == report.acknowledged + report.failed + report.unsure
    assert report.failed == sum(report.failed_by_reason.values())
    assert not (report.acknowledged_rows & report.unsure_rows).any()


def test_reports_can_be_added():
    publisher = open_publisher(FailingBroker())
    total = sum((publisher.publish(make_events("play", kind)) for kind in ("skip", "dance", "dance")), start=PublishReport())
    assert (total.sent, total.acknowledged) == (6, 4)
    assert total.acknowledged_rows.tolist() == [True, True, True, False, True, False]
    assert total.failed_by_reason == {"unknown event_type 'dance'": 2}


def test_a_report_needs_one_outcome_for_each_row():
    one = np.array([True])
    with pytest.raises(ValueError, match="exactly one outcome"):
        PublishReport(one, one)
    with pytest.raises(ValueError, match="exactly one outcome"):
        PublishReport(~one, ~one)


def test_the_rows_of_added_reports_keep_their_outcomes():
    one, none = np.array([True]), np.array([False])
    total = PublishReport(none, one) + PublishReport(one, none) + PublishReport(none, none, {"full": 1})
    assert (total.acknowledged_rows.tolist(), total.unsure_rows.tolist()) == ([False, True, False], [True, False, False])
    assert (total.sent, total.acknowledged, total.unsure, total.failed) == (3, 1, 1, 1)


def test_the_observer_gets_each_report_and_its_seconds():
    seen = []
    publisher = Publisher(FailingBroker(), SteppingClock(), observe=lambda report, seconds: seen.append((report, seconds)))
    report = publisher.publish(make_events("play"))
    ((observed, seconds),) = seen
    assert observed is report
    assert 0 <= seconds < 60


def test_by_default_an_unavailable_log_is_retried_for_some_seconds():
    limits = [Publisher(FailingBroker())._retry.wait.multiplier * 2**attempt for attempt in range(6)]
    assert sum(limits) == pytest.approx(6.3)
    assert Publisher(FailingBroker())._retry.stop.max_attempt_number == 7
