"""A member of a consumer group: when an assignment is handed over, committed, lost, fenced; the group's events are scripted."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.unit.broker.kafka_fakes import GroupConsumer

from soundlake.broker.kafka.connection import Connection
from soundlake.broker.kafka.consumer_group import GroupMember
from soundlake.errors import DataError, SettingsError, SoundlakeError, Unavailable, UsageError
from soundlake.settings import KafkaAccess


@contextmanager
def join_group(**options):
    """A member, and the consumers that it has opened."""
    consumers = []

    def open_consumer(configuration):
        consumers.append(GroupConsumer(configuration))
        return consumers[-1]

    member = GroupMember(Connection(KafkaAccess("127.0.0.1:1")), "sinks", "a", ["plays", "skips"], open_consumer=open_consumer, **options)
    try:
        yield member, consumers
    finally:
        member.close()


def wait_until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition has not become true"
        time.sleep(0.005)


def assign(consumer, *places):
    wait_until(lambda: consumer.callbacks)
    consumer.call("on_assign", *places)


def test_an_assignment_names_the_partitions_of_each_topic_and_is_fetched_by_nobody():
    with join_group() as (member, (consumer,)):
        assign(consumer, ("plays", 0), ("plays", 2), ("skips", 1))
        with member.hold(threading.Event()) as assignment:
            assert assignment.partitions == {"plays": {0, 2}, "skips": {1}}
            assert [assignment.covers("plays", number) for number in (0, 1, 2)] == [True, False, True]
            assert not assignment.covers("likes", 0)
        assert consumer.calls == ["assign"]
        assert consumer.topics == ["plays", "skips"]
    assert consumer.calls == ["assign", "close"]


def test_the_member_is_static_with_its_name_and_commits_by_hand():
    with join_group() as (_, (consumer,)):
        wanted = {
            "group.id": "sinks", "group.instance.id": "a", "enable.auto.commit": False, "session.timeout.ms": 10_000,
            "heartbeat.interval.ms": 2_000, "max.poll.interval.ms": 300_000, "partition.assignment.strategy": "roundrobin",
        }  # fmt: skip
        assert {name: consumer.configuration[name] for name in wanted} == wanted


def test_without_an_assignment_holding_ends_at_the_deadline_or_when_it_is_stopped():
    stop = threading.Event()
    with join_group() as (member, _):
        with member.hold(stop, time.monotonic() + 0.05) as assignment:
            assert assignment is None
        stop.set()
        with member.hold(stop) as assignment:
            assert assignment is None


def test_a_revoked_assignment_is_handed_over_only_when_it_is_released():
    with join_group() as (member, (consumer,)):
        assign(consumer, ("plays", 0))
        with member.hold(threading.Event()) as assignment:
            consumer.call("on_revoke", ("plays", 0))
            assert assignment.revoked.wait(5)
            time.sleep(0.1)
            assert "unassign" not in consumer.calls
            member.commit("plays", {0: 12})
        wait_until(lambda: "unassign" in consumer.calls)
        assert consumer.commits == [[("plays", 0, 12)]]


def test_an_assignment_that_nobody_holds_is_handed_over_at_once():
    with join_group() as (member, (consumer,)):
        assign(consumer, ("plays", 0))
        with member.hold(threading.Event()):
            pass
        consumer.call("on_revoke", ("plays", 0))
        wait_until(lambda: "unassign" in consumer.calls)
        with member.hold(threading.Event(), time.monotonic() + 0.05) as assignment:
            assert assignment is None


def test_a_new_assignment_waits_for_the_release_of_an_empty_one():
    with join_group() as (member, (consumer,)):
        assign(consumer)
        with member.hold(threading.Event()) as empty:
            assert empty.partitions == {"plays": set(), "skips": set()}
            assign(consumer, ("plays", 1))
            assert empty.revoked.wait(5)
        with member.hold(threading.Event()) as assignment:
            assert assignment.partitions["plays"] == {1}


def test_offsets_are_committed_once_with_the_newest_of_each_partition():
    with join_group() as (member, (consumer,)):
        assign(consumer, ("plays", 0))
        hold = threading.Event()
        consumer.events.put(lambda: hold.wait(5) and None)
        member.commit("plays", {0: 1, 1: 5})
        member.commit("plays", {0: 2})
        hold.set()
        wait_until(lambda: consumer.commits)
        time.sleep(0.05)
        assert consumer.commits == [[("plays", 0, 2), ("plays", 1, 5)]]


def test_a_commit_that_fails_is_no_error_of_the_member():
    with join_group() as (member, (consumer,)):
        consumer.commit_error = KafkaException(KafkaError(KafkaError._NO_OFFSET))
        member.commit("plays", {0: 1})
        assign(consumer, ("plays", 0))
        with member.hold(threading.Event()) as assignment:
            assert not assignment.revoked.is_set()


def test_a_lost_assignment_is_revoked_without_waiting_and_its_offsets_are_not_committed():
    with join_group() as (member, (consumer,)):
        assign(consumer, ("plays", 0))
        with member.hold(threading.Event()) as assignment:
            consumer.call("on_lost", ("plays", 0))
            assert assignment.revoked.wait(5)
            wait_until(lambda: "unassign" in consumer.calls)
            member.commit("plays", {0: 12})
        assign(consumer, ("plays", 3))
        with member.hold(threading.Event()) as assignment:
            assert assignment.partitions["plays"] == {3}
        assert consumer.commits == []
        member.commit("plays", {3: 1})
        wait_until(lambda: consumer.commits == [[("plays", 3, 1)]])


@pytest.mark.parametrize("code", [KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL])
def test_a_fenced_member_fails_and_says_that_another_sink_has_its_place(code):
    with join_group() as (member, (consumer,)):
        assign(consumer, ("plays", 0))
        with member.hold(threading.Event()) as assignment:
            consumer.report(code)
            assert assignment.revoked.wait(5)
        with pytest.raises(DataError, match="has taken this one's place in the group sinks") as caught, member.hold(threading.Event()):
            pass
        assert "SOUNDLAKE_HOME" in caught.value.next_step
        assert caught.value.exit_code == 3


def test_a_member_fenced_just_after_it_was_lost_joins_again():
    with join_group() as (member, consumers):
        assign(consumers[0], ("plays", 0))
        consumers[0].call("on_lost", ("plays", 0))
        consumers[0].report(KafkaError.FENCED_INSTANCE_ID)
        wait_until(lambda: len(consumers) == 2)
        assert consumers[0].calls[-1] == "close"
        member.commit("plays", {0: 12})
        assign(consumers[1], ("plays", 0))
        with member.hold(threading.Event()) as assignment:
            assert assignment.partitions["plays"] == {0}
        assert consumers[1].commits == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [(KafkaError.GROUP_AUTHORIZATION_FAILED, UsageError), (KafkaError.INVALID_SESSION_TIMEOUT, SoundlakeError)],
    ids=["not allowed", "session"],
)
def test_a_group_that_refuses_the_member_is_an_error_of_it(code, kind):
    with join_group() as (member, (consumer,)):
        consumer.report(code)
        with pytest.raises(kind, match="joining the group sinks"), member.hold(threading.Event()):
            pass


def test_other_errors_are_left_to_librdkafka():
    with join_group() as (member, (consumer,)):
        consumer.report(KafkaError._ALL_BROKERS_DOWN)
        assign(consumer, ("plays", 0))
        with member.hold(threading.Event()) as assignment:
            assert assignment is not None


@pytest.mark.parametrize("error", [KafkaException(KafkaError(KafkaError._STATE, "out of order")), Unavailable("out of order")])
def test_a_member_whose_thread_fails_revokes_its_assignment_and_raises_the_reason(error):
    def fail():
        raise error

    with join_group() as (member, (consumer,)):
        assign(consumer, ("plays", 0))
        with member.hold(threading.Event()) as assignment:
            consumer.events.put(fail)
            assert assignment.revoked.wait(5)
        with (
            pytest.raises(SoundlakeError, match=r"cannot remain in the group sinks: .*out of order") as caught,
            member.hold(threading.Event()),
        ):
            pass
        assert caught.value.next_step == "start it again; it resumes where bronze ends"
    assert consumer.calls[-1] == "close"


def test_a_refused_connection_is_raised_to_who_waits_for_an_assignment():
    with join_group() as (member, (consumer,)):
        consumer.configuration["error_cb"](KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
        with pytest.raises(SettingsError, match="wrong password"), member.hold(threading.Event()):
            pass


def test_a_group_that_assigns_nothing_in_a_minute_is_unavailable():
    with join_group(assignment_seconds=0.15) as (member, (consumer,)):
        consumer.configuration["error_cb"](KafkaError(KafkaError._TRANSPORT, "connection refused"))
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"has assigned sinks no partitions .*\(connection refused\)"), member.hold(threading.Event()):
            pass
        assert time.monotonic() - begun >= 0.15


def test_closing_while_an_assignment_is_held_does_not_wait_for_its_release():
    with join_group() as (member, (consumer,)):
        assign(consumer, ("plays", 0))
        with member.hold(threading.Event()) as assignment:
            member.close()
            assert assignment.revoked.is_set()
