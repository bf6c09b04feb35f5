"""The publisher accounts for every event, whatever the broker does."""

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


class TroubledBroker(MemoryBroker):
    """Meets each append with the next of the given troubles: an error to raise, or a delivery to answer without keeping anything."""

    def __init__(self, *troubles: Exception | Delivery | None) -> None:
        super().__init__()
        self.create_topics(TOPICS, partitions=2)
        self.troubles = list(troubles)
        self.calls = 0

    def append(self, topic, keys, values):
        self.calls += 1
        trouble = self.troubles.pop(0) if self.troubles else None
        if isinstance(trouble, Exception):
            raise trouble
        return trouble or super().append(topic, keys, values)


def open_publisher(broker, clock=None):
    return Publisher(
        broker,
        clock or SteppingClock(),
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
    broker = TroubledBroker()
    account = open_publisher(broker).publish(make_events("play", "skip", "play", "like"))
    assert (account.sent, account.acknowledged, account.failed, account.unsure) == (4, 4, 0, 0)
    assert [len(stored(broker, topic)) for topic in (PLAYS, SKIPS, LIKES, HISTORY)] == [2, 1, 1, 0]


def test_a_given_topic_takes_all_its_types_in_their_order():
    broker = TroubledBroker()
    open_publisher(broker).publish(make_events("play", "skip", "play", user_id=["ann"] * 3), topic=HISTORY)
    assert [event["event_type"] for event in stored(broker, HISTORY)] == ["play", "skip", "play"]


def test_types_that_have_no_topic_fail_with_the_reason_and_the_others_go():
    broker = TroubledBroker()
    account = open_publisher(broker).publish(make_events("play", "dance", None, "skip"))
    assert account.acknowledged_rows.tolist() == [True, False, False, True]
    assert account.failed_by_reason == {"unknown event_type 'dance'": 1, "event_type is missing": 1}


def test_a_topic_refuses_a_type_that_is_not_its_own():
    account = open_publisher(TroubledBroker()).publish(make_events("play", "skip"), topic=PLAYS)
    assert account.acknowledged_rows.tolist() == [True, False]
    assert account.failed_by_reason == {"event_type 'skip' does not belong on user_plays": 1}


def test_a_table_without_event_types_fails_whole():
    account = open_publisher(TroubledBroker()).publish(make_events("play", "skip").drop_columns("event_type"))
    assert account.failed_by_reason == {"event_type is missing": 2}


def test_the_listener_is_the_key_and_may_be_unknown():
    broker = TroubledBroker()
    open_publisher(broker).publish(make_events("play", "play", user_id=["זמר", None]))
    open_publisher(broker).publish(make_events("play").drop_columns("user_id"))
    keys = [key for rows in read_all(broker, PLAYS.name).values() for _, key, _ in rows]
    assert keys.count(None) == 2
    assert keys.count("זמר".encode()) == 1


@pytest.mark.parametrize("earlier", [None, datetime(2020, 1, 1, tzinfo=UTC)], ids=["absent", "present"])
def test_produced_at_is_the_time_of_publishing(earlier):
    broker = TroubledBroker()
    columns = {} if earlier is None else {"produced_at": pa.array([earlier], pa.timestamp("us", "UTC"))}
    open_publisher(broker, SteppingClock(datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC))).publish(make_events("play", **columns))
    assert stored(broker, PLAYS)[0]["produced_at"].startswith("2024-12-31T23:59:59")


def test_an_unavailable_log_is_tried_again_and_nothing_is_doubled():
    broker = TroubledBroker(Unavailable("busy"), Unavailable("busy"))
    account = open_publisher(broker).publish(make_events("play", "play"))
    assert account.acknowledged == 2
    assert broker.calls == 3
    assert len(stored(broker, PLAYS)) == 2


def test_when_the_log_stays_unavailable_all_that_is_left_has_failed_with_the_next_step():
    down = Unavailable("no space left", next_step="free some")
    broker = TroubledBroker(None, down, down, down)
    account = open_publisher(broker).publish(make_events(*["play"] * 10_000, *["skip"] * 5_000))
    assert account.acknowledged_rows.tolist() == [True] * 10_000 + [False] * 5_000
    assert account.failed_by_reason == {"no space left (free some)": 5_000}


def test_an_append_of_unknown_fate_is_unsure_and_not_sent_again():
    broker = TroubledBroker(Delivery(3, {0: "too large"}, {2: "connection lost"}))
    account = open_publisher(broker).publish(make_events("play", "play", "play"))
    assert broker.calls == 1
    assert account.acknowledged_rows.tolist() == [False, True, False]
    assert account.unsure_rows.tolist() == [False, False, True]
    assert account.failed_by_reason == {"too large": 1}


def test_what_the_log_refuses_for_good_is_in_the_account_too():
    account = open_publisher(TroubledBroker(DataError("made anew"))).publish(make_events("play"))
    assert account.failed_by_reason == {"made anew": 1}


def test_a_column_that_is_no_field_is_an_error_before_anything_is_sent():
    broker = TroubledBroker()
    with pytest.raises(ValueError, match="favourite_colour"):
        open_publisher(broker).publish(make_events("play", favourite_colour=["red"]))
    assert broker.calls == 0


def test_nothing_published_is_an_empty_account():
    account = open_publisher(TroubledBroker()).publish(make_events())
    assert (account.sent, account.acknowledged, account.failed, account.unsure) == (0, 0, 0, 0)


def test_a_large_table_of_several_types_is_accounted_for_row_by_row():
    broker = TroubledBroker()
    kinds = ["play", "skip", "dance", "like"] * 12_500
    account = open_publisher(broker).publish(make_events(*kinds))
    assert account.acknowledged_rows.tolist() == [kind != "dance" for kind in kinds]
    assert [len(stored(broker, topic)) for topic in (PLAYS, SKIPS, LIKES)] == [12_500] * 3


def test_event_types_may_be_dictionary_encoded():
    broker = TroubledBroker()
    events = make_events("play", None, "play")
    events = events.set_column(1, "event_type", events["event_type"].dictionary_encode())
    assert open_publisher(broker).publish(events).acknowledged_rows.tolist() == [True, False, True]


def test_raw_records_go_as_they_stand():
    broker = TroubledBroker(Unavailable("busy"))
    delivery = open_publisher(broker).publish_raw(PLAYS, [b"ann", None], [b"{broken", None])
    assert delivery.acknowledged == 2
    assert sorted((row[2] for rows in read_all(broker, PLAYS.name).values() for row in rows), key=repr) == [None, b"{broken"]


def test_raw_records_that_cannot_be_sent_have_all_failed():
    delivery = open_publisher(TroubledBroker(*[Unavailable("down")] * 3)).publish_raw(PLAYS, [None] * 2, [b"1", b"2"])
    assert delivery.acknowledged == 0
    assert delivery.failed == {0: "down", 1: "down"}


troubles = st.lists(
    st.none()
    | st.just(Unavailable("down"))
    | st.just(DataError("gone"))
    | st.sampled_from([({0: "too large"}, {}), ({}, {0: "lost"}), ({1: "too large"}, {0: "lost"})]),
    max_size=6,
)


@given(st.lists(st.sampled_from(["play", "skip", "dance", None]), max_size=12), troubles)
def test_sent_is_always_acknowledged_and_failed_and_unsure(kinds, met):
    class Troubled(TroubledBroker):
        def append(self, topic, keys, values):
            if self.troubles and isinstance(self.troubles[0], tuple):
                self.troubles[0] = Delivery(len(values), *({i: r for i, r in part.items() if i < len(values)} for part in self.troubles[0]))
            return super().append(topic, keys, values)

    account = open_publisher(Troubled(*met)).publish(make_events(*kinds))
    assert account.sent == len(kinds) == account.acknowledged + account.failed + account.unsure
    assert account.failed == sum(account.failed_by_reason.values())
    assert not (account.acknowledged_rows & account.unsure_rows).any()


def test_accounts_add_up():
    publisher = open_publisher(TroubledBroker())
    total = sum((publisher.publish(make_events("play", kind)) for kind in ("skip", "dance", "dance")), start=PublishReport())
    assert (total.sent, total.acknowledged) == (6, 4)
    assert total.acknowledged_rows.tolist() == [True, True, True, False, True, False]
    assert total.failed_by_reason == {"unknown event_type 'dance'": 2}


def test_an_account_that_does_not_add_up_cannot_be_made():
    one = np.array([True])
    with pytest.raises(ValueError, match="exactly one outcome"):
        PublishReport(one, one)
    with pytest.raises(ValueError, match="exactly one outcome"):
        PublishReport(~one, ~one)
