"""Several sinks on one log: they share the partitions, and whoever comes, goes, is held or killed, every record is stored once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from tests.integration.kafka_cases import RunningSink, delete_topics, make_plays, open_kafka, open_lake, read_ids, stored_ids

from soundlake.broker.kafka.consumer_group import SESSION_SECONDS
from soundlake.contract import TOPICS
from soundlake.contract.topics import DLQ, PLAYS
from soundlake.errors import DataError, SoundlakeError, Unavailable
from soundlake.settings import KafkaAccess, extend_environment
from soundlake.sink.membership import CONSUMER_GROUP

PARTITIONS = 4


@pytest.fixture
def access(kafka_server):
    access = KafkaAccess(kafka_server.server.address)
    delete_topics(access)
    await_that(
        lambda: not describe_group(access)
    )  # those of the test before are killed, which the group learns when their sessions are over
    return access


@pytest.fixture
def broker(access):
    with open_kafka(access, answer_seconds=5.0) as broker:
        broker.create_topics([*TOPICS, DLQ], partitions=PARTITIONS)
        yield broker


def await_that(what: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def describe_group(access: KafkaAccess) -> dict[str, int]:
    """The members of the sinks' group by name, and how many partitions each was given."""
    while True:
        admin = AdminClient({"bootstrap.servers": access.servers})  # one that has seen the broker die may wait for it for minutes
        (asked,) = admin.describe_consumer_groups([CONSUMER_GROUP]).values()
        with suppress(KafkaException):  # a broker that has just begun does not know yet who looks after the group
            return {member.group_instance_id: len(member.assignment.topic_partitions) for member in asked.result(30).members}


def feed(broker, sinks, keys, values) -> None:
    """Publish in small batches until every sink has stored something that it had not stored before."""
    before, sent = [sink.done for sink in sinks], 0
    while any(sink.done == done for sink, done in zip(sinks, before, strict=True)):
        assert sent < len(values), [sink.done for sink in sinks]
        sent += broker.append(PLAYS.name, keys[sent : sent + 20], values[sent : sent + 20]).acknowledged
        time.sleep(0.1)
    broker.append(PLAYS.name, keys[sent:], values[sent:])


def test_two_sinks_share_the_partitions_and_monitors_see_them(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(20_000)
    with RunningSink(access, lake, member="a") as first, RunningSink(access, lake, member="b") as second:
        await_that(lambda: describe_group(access) == {"a": 2, "b": 2})
        feed(broker, [first, second], keys, values)
        first.await_ids(read_ids(values))
        ends = {partition: held.end for partition, held in broker.offsets(PLAYS.name).items()}
        await_that(lambda: broker.committed(CONSUMER_GROUP, PLAYS.name) == ends)
    assert (first.error, second.error) == (None, None)
    assert first.done + second.done == len(values)


def test_a_sink_that_comes_gets_its_share_and_the_others_go_on_when_it_leaves(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(30_000)
    with RunningSink(access, lake, member="a") as stays:
        feed(broker, [stays], keys[:10_000], values[:10_000])
        with RunningSink(access, lake, member="b") as comes:
            feed(broker, [stays, comes], keys[10_000:20_000], values[10_000:20_000])
        broker.append(PLAYS.name, keys[20_000:], values[20_000:])
        stays.await_ids(read_ids(values))
    assert (stays.error, comes.error) == (None, None)


def test_more_sinks_than_partitions_wait_their_turn(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(1_000)
    sinks = [RunningSink(access, lake, member=f"sink-{number}") for number in range(PARTITIONS + 1)]
    with sinks[0], sinks[1], sinks[2], sinks[3], sinks[4]:
        await_that(lambda: sorted(describe_group(access).values()) == [0, 1, 1, 1, 1])
        broker.append(PLAYS.name, keys, values)
        sinks[0].await_ids(read_ids(values))
    assert [sink.error for sink in sinks] == [None] * len(sinks)


def test_a_second_sink_of_the_same_name_takes_the_place_and_the_first_one_says_so(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(4_000)
    with RunningSink(access, lake, member="a") as first:
        feed(broker, [first], keys[:2_000], values[:2_000])
        with RunningSink(access, lake, member="a") as second:
            first.join()
            assert isinstance(first.error, DataError)
            assert "took this one's place in the group soundlake-sink" in first.error.message
            assert "SOUNDLAKE_HOME" in first.error.next_step
            feed(broker, [second], keys[2_000:], values[2_000:])
            second.await_ids(read_ids(values))


def test_a_share_is_over_only_when_it_is_let_go_of(broker):
    stop, handed_over = threading.Event(), threading.Event()
    with closing(broker.join("tried", "a", [PLAYS])) as first:
        with first.hold(stop) as share:
            assert share.partitions == {PLAYS.name: frozenset(range(PARTITIONS))}
            second = broker.join("tried", "b", [PLAYS])

            def take() -> None:
                with second.hold(stop):
                    handed_over.set()

            taker = threading.Thread(target=take)
            taker.start()
            assert share.revoked.wait(30)
            assert not handed_over.wait(3), "the other one reads what is still being stored here"
        with first.hold(stop) as rest:
            assert handed_over.wait(30)
            assert len(rest.partitions[PLAYS.name]) == PARTITIONS // 2
        taker.join()
        second.close()


@pytest.mark.parametrize("error", [KafkaException(KafkaError(KafkaError._STATE, "out of order")), Unavailable("out of order")])
def test_a_member_that_fails_tells_whoever_holds_its_share_and_who_asks_for_one(broker, error):
    class Broken:
        def poll(self, _: float) -> None:
            raise error

        def close(self) -> None:
            """Nothing to leave."""

    stop = threading.Event()
    with closing(broker.join("tried", "a", [PLAYS])) as member:
        with closing(member._consumer), member.hold(stop) as share:
            member._consumer = Broken()
            assert share.revoked.wait(10)
        with pytest.raises(SoundlakeError, match=r"take part in the group tried no more: .*out of order") as caught, member.hold(stop):
            pass
        assert caught.value.next_step == "start it again: it goes on where bronze ends"


def test_a_member_that_was_lost_and_has_still_offsets_to_tell_is_not_fenced_by_itself(kafka_server, broker):
    stop, is_over, offsets = threading.Event(), threading.Event(), dict.fromkeys(range(PARTITIONS), 7)
    broker.append(PLAYS.name, [b"ann"] * 100, [b"{}"] * 100)

    def tell() -> None:
        """As a sink that finishes its batches, whatever becomes of its place."""
        while not is_over.wait(0.02):
            member.commit(PLAYS.name, offsets)

    with closing(broker.join("tried", "a", [PLAYS])) as member:
        telling = threading.Thread(target=tell)
        telling.start()
        try:
            with member.hold(stop) as share:
                kafka_server.kill()
                assert share.revoked.wait(SESSION_SECONDS * 3)
                kafka_server.start()
            with member.hold(stop) as anew:
                assert anew.partitions == share.partitions
                assert not anew.revoked.wait(5)
                await_that(lambda: broker.committed("tried", PLAYS.name) == offsets)
        finally:
            is_over.set()
            telling.join()


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
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


def await_stored(lake, values) -> None:
    await_that(lambda: len(stored_ids(lake)) >= len(values))
    assert sorted(stored_ids(lake)) == sorted(read_ids(values))


def test_a_sink_that_is_held_loses_its_share_and_takes_part_again_without_doubling_anything(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path / "lake"), make_plays(3_000)
    with SinkProcess(tmp_path, "held", access.servers) as held, SinkProcess(tmp_path, "other", access.servers) as other:
        await_that(lambda: len(describe_group(access)) == 2 and 0 not in describe_group(access).values())
        broker.append(PLAYS.name, keys[:1_000], values[:1_000])
        await_stored(lake, values[:1_000])
        broker.append(PLAYS.name, keys[1_000:2_000], values[1_000:2_000])
        held.process.send_signal(signal.SIGSTOP)  # perhaps in the middle of its batch
        await_that(lambda: len(describe_group(access)) == 1, SESSION_SECONDS * 3)
        await_stored(lake, values[:2_000])
        held.process.send_signal(signal.SIGCONT)
        await_that(lambda: len(describe_group(access)) == 2 and 0 not in describe_group(access).values())
        broker.append(PLAYS.name, keys[2_000:], values[2_000:])
        await_stored(lake, values)
        assert (held.process.poll(), other.process.poll()) == (None, None), held.log.read_text() + other.log.read_text()


def test_a_killed_sink_comes_back_to_its_place_or_the_others_take_it(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path / "lake"), make_plays(3_000)
    with SinkProcess(tmp_path, "killed", access.servers) as killed, SinkProcess(tmp_path, "other", access.servers):
        await_that(lambda: len(describe_group(access)) == 2 and 0 not in describe_group(access).values())
        before = describe_group(access)
        os.kill(killed.process.pid, signal.SIGKILL)
        killed.process.wait()
        with SinkProcess(tmp_path, "killed", access.servers) as again:
            broker.append(PLAYS.name, keys[:1_500], values[:1_500])
            await_stored(lake, values[:1_500])
            await_that(lambda: describe_group(access) == before)
            os.kill(again.process.pid, signal.SIGKILL)
            again.process.wait()
            broker.append(PLAYS.name, keys[1_500:], values[1_500:])
            await_stored(lake, values)
            assert list(describe_group(access).values()) == [PARTITIONS * len(TOPICS)]
