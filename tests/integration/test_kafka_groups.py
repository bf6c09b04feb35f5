"""Several sinks on one log share its partitions; whichever joins, leaves, is paused or killed, every record is stored once.

Each test has a group of its own, but for those that run `soundlake sink`: static members stay in a group until their session expires.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from tests.integration.kafka_cases import (
    RunningSink,
    make_plays,
    open_kafka,
    open_lake,
    read_committed,
    read_ids,
    stored_ids,
    wait_until,
)
from tests.process_pause import pause_process, resume_process

from soundlake.broker.kafka.consumer_group import SESSION_SECONDS
from soundlake.contract import TOPICS
from soundlake.contract.topics import DLQ, PLAYS
from soundlake.errors import DataError
from soundlake.settings import KafkaAccess, extend_environment
from soundlake.sink.membership import CONSUMER_GROUP

PARTITIONS = 4


NUMBERS = itertools.count()


@pytest.fixture
def group():
    return f"group-{next(NUMBERS)}"


@pytest.fixture
def programs(access):
    """The group of `soundlake sink`, without the members of the test before."""
    wait_until(lambda: not describe_group(access, CONSUMER_GROUP))
    return CONSUMER_GROUP


@pytest.fixture
def broker(access):
    with open_kafka(access, answer_seconds=5.0) as broker:
        broker.create_topics([*TOPICS, DLQ], partitions=PARTITIONS)
        yield broker


def describe_group(access: KafkaAccess, group: str) -> dict[str, int]:
    """The members of a group by name, and how many partitions each is assigned."""
    while True:
        admin = AdminClient({"bootstrap.servers": access.servers})  # an older client may wait minutes for a broker that was killed
        (asked,) = admin.describe_consumer_groups([group]).values()
        with suppress(KafkaException):  # a broker that has just started does not know the coordinator yet
            return {member.group_instance_id: len(member.assignment.topic_partitions) for member in asked.result(30).members}


def feed(broker, sinks, keys, values) -> None:
    """Publish in small batches until every sink has stored something; then the rest."""
    before, sent = [sink.done for sink in sinks], 0
    while any(sink.done == done for sink, done in zip(sinks, before, strict=True)):
        assert sent < len(values), [sink.done for sink in sinks]
        sent += broker.append(PLAYS.name, keys[sent : sent + 20], values[sent : sent + 20]).acknowledged
        time.sleep(0.05)
    broker.append(PLAYS.name, keys[sent:], values[sent:])


def test_two_sinks_share_the_partitions_and_commit_their_offsets_for_monitors(access, broker, group, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(20_000)
    with RunningSink(access, lake, member="a", group=group) as first, RunningSink(access, lake, member="b", group=group) as second:
        wait_until(lambda: describe_group(access, group) == {"a": 2, "b": 2})
        feed(broker, [first, second], keys, values)
        first.await_ids(read_ids(values))
        ends = {partition: held.end for partition, held in broker.offsets(PLAYS.name).items()}
        wait_until(lambda: read_committed(access, group) == ends)
    assert (first.error, second.error) == (None, None)
    assert first.done + second.done == len(values)


def test_a_sink_that_joins_is_assigned_partitions_and_the_other_continues_when_it_leaves(access, broker, group, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(30_000)
    with RunningSink(access, lake, member="a", group=group) as stays:
        feed(broker, [stays], keys[:10_000], values[:10_000])
        with RunningSink(access, lake, member="b", group=group) as joins:
            feed(broker, [stays, joins], keys[10_000:20_000], values[10_000:20_000])
        broker.append(PLAYS.name, keys[20_000:], values[20_000:])
        stays.await_ids(read_ids(values))
    assert (stays.error, joins.error) == (None, None)


def test_of_more_sinks_than_partitions_one_waits_without_any(access, broker, group, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(1_000)
    sinks = [RunningSink(access, lake, member=f"sink-{number}", group=group) for number in range(PARTITIONS + 1)]
    with sinks[0], sinks[1], sinks[2], sinks[3], sinks[4]:
        wait_until(lambda: sorted(describe_group(access, group).values()) == [0, 1, 1, 1, 1])
        broker.append(PLAYS.name, keys, values)
        sinks[0].await_ids(read_ids(values))
    assert [sink.error for sink in sinks] == [None] * len(sinks)


def test_a_second_sink_of_the_same_name_replaces_the_first_which_stops_with_the_reason(access, broker, group, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(4_000)
    with RunningSink(access, lake, member="a", group=group) as first:
        feed(broker, [first], keys[:2_000], values[:2_000])
        with RunningSink(access, lake, member="a", group=group) as second:
            first.join()
            assert isinstance(first.error, DataError)
            assert f"has taken this one's place in the group {group}" in first.error.message
            assert "SOUNDLAKE_HOME" in first.error.next_step
            feed(broker, [second], keys[2_000:], values[2_000:])
            second.await_ids(read_ids(values))


def test_an_assignment_is_handed_over_only_when_it_is_released(broker, group):
    stop, handed_over = threading.Event(), threading.Event()
    with closing(broker.join(group, "a", [PLAYS])) as first:
        with first.hold(stop) as held:
            assert held.partitions == {PLAYS.name: frozenset(range(PARTITIONS))}
            second = broker.join(group, "b", [PLAYS])

            def take() -> None:
                with second.hold(stop):
                    handed_over.set()

            taker = threading.Thread(target=take)
            taker.start()
            assert held.revoked.wait(30)
            assert not handed_over.wait(3), "the other member reads what this one is still storing"
        with first.hold(stop) as remaining:
            assert handed_over.wait(30)
            assert len(remaining.partitions[PLAYS.name]) == PARTITIONS // 2
        taker.join()
        second.close()


def test_a_member_whose_session_expired_is_not_fenced_by_its_own_late_commits(kafka_server, access, broker, group):
    stop, is_over, offsets = threading.Event(), threading.Event(), dict.fromkeys(range(PARTITIONS), 7)
    broker.append(PLAYS.name, [b"ann"] * 100, [b"{}"] * 100)

    def commit_all_the_time() -> None:
        while not is_over.wait(0.02):
            member.commit(PLAYS.name, offsets)

    with closing(broker.join(group, "a", [PLAYS])) as member:
        committing = threading.Thread(target=commit_all_the_time)
        committing.start()
        try:
            with member.hold(stop) as lost:
                kafka_server.kill()
                assert lost.revoked.wait(SESSION_SECONDS * 3)
                kafka_server.start()
            with member.hold(stop) as regained:
                assert regained.partitions == lost.partitions
                assert not regained.revoked.wait(5)
                wait_until(lambda: read_committed(access, group) == offsets)
        finally:
            is_over.set()
            committing.join()


def has_two_with_partitions(access: KafkaAccess, group: str) -> bool:
    counts = describe_group(access, group).values()
    return len(counts) == 2 and 0 not in counts


class SinkProcess:
    """`soundlake sink` with a home of its own."""

    def __init__(self, folder: Path, name: str, address: str) -> None:
        self.log = folder / f"{name}.log"
        environment = extend_environment({
            "SOUNDLAKE_HOME": str(folder / name), "SOUNDLAKE_BROKER": f"kafka://{address}", "SOUNDLAKE_LAKE": f"file://{folder}/lake",
            "SOUNDLAKE_SINK_MAX_SECONDS": "0.2",
        })  # fmt: skip
        command = [str(Path(sys.executable).with_name("soundlake")), "sink", "--compact-every", "0"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def wait_until_stored(lake, values) -> None:
    wait_until(lambda: len(stored_ids(lake)) >= len(values))
    assert sorted(stored_ids(lake)) == sorted(read_ids(values))


def test_a_paused_sink_loses_its_partitions_and_joins_again_without_duplicates(access, broker, programs, tmp_path):
    lake, (keys, values) = open_lake(tmp_path / "lake"), make_plays(3_000)
    with SinkProcess(tmp_path, "paused", access.servers) as paused, SinkProcess(tmp_path, "other", access.servers) as other:
        wait_until(lambda: has_two_with_partitions(access, programs))
        broker.append(PLAYS.name, keys[:1_000], values[:1_000])
        wait_until_stored(lake, values[:1_000])
        broker.append(PLAYS.name, keys[1_000:2_000], values[1_000:2_000])
        pause_process(paused.process.pid)  # possibly in the middle of a batch
        wait_until(lambda: len(describe_group(access, programs)) == 1, SESSION_SECONDS * 3)
        wait_until_stored(lake, values[:2_000])
        resume_process(paused.process.pid)
        wait_until(lambda: has_two_with_partitions(access, programs))
        broker.append(PLAYS.name, keys[2_000:], values[2_000:])
        wait_until_stored(lake, values)
        assert (paused.process.poll(), other.process.poll()) == (None, None), paused.log.read_text() + other.log.read_text()


def test_a_killed_sink_gets_its_partitions_back_or_another_sink_takes_them(access, broker, programs, tmp_path):
    lake, (keys, values) = open_lake(tmp_path / "lake"), make_plays(3_000)
    with SinkProcess(tmp_path, "killed", access.servers) as killed, SinkProcess(tmp_path, "other", access.servers):
        wait_until(lambda: has_two_with_partitions(access, programs))
        before = describe_group(access, programs)
        killed.process.kill()
        killed.process.wait()
        with SinkProcess(tmp_path, "killed", access.servers) as again:
            broker.append(PLAYS.name, keys[:1_500], values[:1_500])
            wait_until_stored(lake, values[:1_500])
            wait_until(lambda: describe_group(access, programs) == before)
            again.process.kill()
            again.process.wait()
            broker.append(PLAYS.name, keys[1_500:], values[1_500:])
            wait_until_stored(lake, values)
            assert list(describe_group(access, programs).values()) == [PARTITIONS * len(TOPICS)]
