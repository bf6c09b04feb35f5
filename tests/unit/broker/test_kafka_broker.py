"""`KafkaBroker` on librdkafka's mock cluster: reading from exact offsets, under the log id that was valid, and its errors.

What needs administration (topics, trimming, deletions) and what a failing server does is in tests/integration/test_kafka_*.py.
"""

from __future__ import annotations

import itertools
import time
from concurrent.futures import Future
from contextlib import nullcontext

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from tests.unit.broker.broker_contract import FOREVER, read_all
from tests.unit.broker.kafka_fakes import PARTITIONS, MockConnection

from soundlake.broker import OffsetRange
from soundlake.broker.kafka import KafkaBroker, TopicCheck, TopicPlan
from soundlake.broker.kafka.errors import LeaderUnavailable
from soundlake.contract import Topic
from soundlake.errors import LogReplaced, OffsetGap, TopicCompacted, TopicMissing, Unavailable, UsageError

NUMBERS = itertools.count()


@pytest.fixture
def topic():
    return f"broker-{next(NUMBERS)}"


@pytest.fixture
def broker(mock_cluster):
    broker = KafkaBroker(mock_cluster.access, answer_seconds=5, delivery_seconds=10, connect=MockConnection)
    yield broker
    broker.close()


def poll_until(broker, topic, offsets, **limits):
    """The first poll that returns records."""
    deadline = time.monotonic() + 10
    while not (runs := broker.poll(topic, offsets, **{**FOREVER, **limits})):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return runs


def test_appended_records_are_read_from_their_offsets_in_any_steps(broker, topic):
    keys = [b"user-%d" % number for number in range(50)]
    assert broker.append(topic, keys, [*keys[:-1], None]).acknowledged == 50
    assert broker.partitions(topic) == list(range(PARTITIONS))
    held = broker.offsets(topic)
    assert sum(map(len, held.values())) == 50
    assert {row[1] for rows in read_all(broker, topic).values() for row in rows} == set(keys)
    assert read_all(broker, topic, max_records=7) == read_all(broker, topic) == read_all(broker, topic, max_bytes=20)
    records = broker.fetch(topic, 0, 2, max_records=3, max_bytes=1_000)
    assert (records.topic, records.partition, records.offsets.to_pylist()) == (topic, 0, [2, 3, 4])
    assert records.log_id == broker.log_id(topic)


def test_an_empty_partition_is_read_as_no_records_of_its_log(broker, topic):
    broker.append(topic, [b"21"], [b"x"])
    held = broker.offsets(topic)
    assert sorted(held.values(), key=len) == [*[OffsetRange(0, 0)] * (PARTITIONS - 1), OffsetRange(0, 1)]
    (empty, *_) = [number for number in held if not held[number].end]
    records = broker.fetch(topic, empty, 0, **FOREVER)
    assert (len(records), records.log_id) == (0, broker.log_id(topic))


def test_a_poll_reads_only_the_partitions_asked_for(broker, topic):
    broker.append(topic, [b"user-%d" % number for number in range(50)], [b"x"] * 50)
    assert {run.partition for run in poll_until(broker, topic, {2: 0})} == {2}
    assert poll_until(broker, topic, {3: 1}, max_records=1)[0].offsets.to_pylist() == [1]


def test_records_of_a_topic_created_again_are_read_under_its_new_id(broker, topic):
    broker.append(topic, [b"ann"], [b"1"])
    (partition,) = [number for number, held in broker.offsets(topic).items() if held.end]
    (first,) = poll_until(broker, topic, {partition: 0})
    broker._connection.topic_ids[topic] = "second"
    assert broker.log_id(topic).endswith(".second")
    broker.append(topic, [b"ann"], [b"2"])
    (second,) = poll_until(broker, topic, {partition: 1})
    assert first.log_id.endswith(".first")
    assert second.log_id.endswith(".second")
    assert second.offsets.to_pylist() == [1]


@pytest.mark.parametrize("verb", ["fetch", "poll"])
def test_an_offset_beyond_the_end_means_another_log(broker, topic, verb):
    broker.append(topic, [b"ann"], [b"1"])
    (partition,) = [number for number, held in broker.offsets(topic).items() if held.end]
    with pytest.raises(LogReplaced) as caught:
        broker.fetch(topic, partition, 9, **FOREVER) if verb == "fetch" else poll_until(broker, topic, {partition: 9})
    assert (caught.value.position, caught.value.end_offset) == (8, 1)
    assert poll_until(broker, topic, {partition: 0})[0].values.to_pylist() == [b"1"]


def test_unknown_topics_and_partitions_are_errors_of_every_call(broker, topic):
    broker._connection.topic_ids["missing"] = ""
    calls = [
        lambda name, number: broker.append(name, [None], [b"x"]) if name == "missing" else broker.fetch(name, number, 0, **FOREVER),
        lambda name, number: broker.poll(name, {number: 0}, **FOREVER),
        lambda name, number: broker.commit("group", name, {number: 0}),
        lambda name, number: broker.trim(name, {number: 0}),
    ]
    for call in calls:
        with pytest.raises(TopicMissing, match="missing"):
            call("missing", 0)
        with pytest.raises(UsageError, match=f"no partition {PARTITIONS}"):
            call(topic, PARTITIONS)


def test_keys_and_values_are_counted_before_anything_is_sent(broker, topic):
    with pytest.raises(UsageError, match="2 keys for 1 values"):
        broker.append(topic, [b"ann", b"bob"], [b"x"])
    assert broker._connection.descriptions == 0


def test_the_number_of_partitions_is_read_once_until_an_append_fails(broker, topic):
    for _ in range(3):
        broker.append(topic, [b"ann"], [b"x"])
    assert broker._connection.descriptions == 1
    assert broker.append(topic, [b"ann"] * 2, [b"x", b"x" * (1 << 20)]).acknowledged == 1
    assert broker.partitions(topic) == list(range(PARTITIONS))
    assert broker._connection.descriptions == 2
    read_at, count = broker._partition_counts[topic]
    broker._partition_counts[topic] = (read_at - 5.1, count)
    broker.partitions(topic)
    assert broker._connection.descriptions == 3


def test_offsets_are_committed_for_a_group(broker, topic, mock_cluster):
    broker.append(topic, [b"ann"], [b"x"])
    broker.commit("monitored", topic, {0: 1, 2: 5})
    monitor = Consumer({"bootstrap.servers": mock_cluster.access.servers, "group.id": "monitored"})
    found = monitor.committed([TopicPartition(topic, number) for number in range(PARTITIONS)], 10)
    monitor.close()
    assert {place.partition: place.offset for place in found if place.offset >= 0} == {0: 1, 2: 5}


class SilentReader:
    """A reader to which nothing comes."""

    topic_id, has_buffered, is_in_doubt = "first", False, False

    def __init__(self, idle_seconds, *, is_out_of_range=False):
        self.idle_seconds, self.is_out_of_range = idle_seconds, is_out_of_range
        self.resets = 0
        self.is_closed = False

    def seek(self, offsets): ...

    def pull(self, max_records, max_bytes):
        return False

    def take_gaps(self):
        return {}

    def take(self, max_records, max_bytes):
        return []

    def reset_idle(self):
        self.resets += 1

    def close(self):
        self.is_closed = True


def test_records_that_are_in_the_log_and_do_not_come_are_an_error_after_the_time_of_an_answer(broker, topic):
    broker.append(topic, [b"ann"] * 3, [b"x"] * 3)
    (partition,) = [number for number, held in broker.offsets(topic).items() if held.end]
    broker._readers[topic] = reader = SilentReader(idle_seconds=4.9)
    assert broker.poll(topic, {partition: 1}, **FOREVER) == []
    reader.idle_seconds = 5.1
    with pytest.raises(Unavailable, match=rf"{topic}\[{partition}\] offset 1 in 5 s"):
        broker.poll(topic, {partition: 1}, **FOREVER)
    assert reader.is_closed
    assert poll_until(broker, topic, {partition: 1})[0].offsets.to_pylist() == [1, 2]


def test_a_reader_at_the_end_of_the_log_is_not_stalled(broker, topic):
    broker.append(topic, [b"ann"], [b"x"])
    ends = {number: held.end for number, held in broker.offsets(topic).items()}
    broker._readers[topic] = reader = SilentReader(idle_seconds=60)
    assert broker.poll(topic, ends, **FOREVER) == []
    assert (reader.resets, reader.is_closed) == (1, False)


def test_an_offset_that_is_in_the_log_after_all_is_read_again(broker, topic):
    broker.append(topic, [b"ann"], [b"x"])
    (partition,) = [number for number, held in broker.offsets(topic).items() if held.end]
    broker._readers[topic] = reader = SilentReader(idle_seconds=0, is_out_of_range=True)
    assert broker.poll(topic, {partition: 0}, **FOREVER) == []
    assert reader.resets == 0
    assert broker.poll(topic, {partition: 1}, **FOREVER) == []
    assert reader.resets == 1


class FakeTopics:
    """Creates every topic at once; settings differ until they are repaired."""

    def __init__(self, differences=()):
        self.differences = dict(differences)
        self.plans = []

    def create_missing(self, topics, plan):
        self.plans.append(plan)
        return {topic.name for topic in topics}

    def compare(self, topics, plan, created):
        return [TopicCheck(topic.name, "id", 1, created=topic.name in created, differences=dict(self.differences)) for topic in topics]

    def repair(self, checks):
        self.differences = {}


@pytest.mark.parametrize(
    ("differences", "repair", "expected"),
    [({"a": ("1", "2")}, False, {"a": ("1", "2")}), ({"a": ("1", "2")}, True, {}), ({}, True, {})],
    ids=["reported", "repaired", "none"],
)
def test_topics_are_compared_and_repaired_on_request(broker, topic, differences, repair, expected):
    broker.append(topic, [b"ann"], [b"x"])
    broker._topics = FakeTopics(differences)
    plan = TopicPlan(4)
    (check,) = broker.ensure_topics([Topic(topic, "plays", ())], plan, repair=repair)
    assert (check.created, check.differences) == (True, expected)
    assert broker._topics.plans == [plan]


def test_topics_are_created_with_the_retention_of_the_broker(mock_cluster, topic):
    broker = KafkaBroker(mock_cluster.access, retention_ms=77, connect=MockConnection)
    broker.append(topic, [b"ann"], [b"x"])
    broker._topics = FakeTopics()
    broker.create_topics([Topic(topic, "plays", ())], partitions=2)
    assert broker._topics.plans == [TopicPlan(2, 77)]
    broker.close()


def test_trimming_stops_at_the_end_of_each_partition(broker, topic):
    requests = []

    class FakeAdmin:
        def delete_records(self, places, request_timeout):
            requests.append({place.partition: place.offset for place in places})
            future = Future()
            future.set_result(None)
            return {"all": future}

    broker.append(topic, [b"21"] * 5, [b"x"] * 5)
    (partition,) = [number for number, held in broker.offsets(topic).items() if held.end]
    broker._connection.admin = FakeAdmin()
    broker.trim(topic, {partition: 3})
    broker.trim(topic, {partition: 9})
    assert requests == [{partition: 3}, {partition: 5}]


def test_offsets_are_read_again_after_the_client_has_found_the_new_leader(broker, topic):
    broker.append(topic, [b"21"], [b"x"])
    client, calls = broker._offsets.client, []

    class Restarted:
        def offsets_for_times(self, places, timeout):
            calls.append("offsets")
            if len(calls) == 1:
                raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))
            return client.offsets_for_times(places, timeout)

        def list_topics(self, name, timeout):
            calls.append("metadata")

    broker._offsets.client = Restarted()
    assert sum(held.end for held in broker.offsets(topic).values()) == 1
    assert calls == ["offsets", "metadata", "offsets", "offsets"]
    broker._offsets.client = client


@pytest.mark.parametrize(
    "code", [KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, None], ids=["broker", "client", "no offset"]
)
def test_an_error_of_one_partition_is_met_with_new_metadata_and_another_count(broker, topic, code):
    broker.append(topic, [b"21"], [b"x"])
    broker.offsets(topic)
    client, calls, described = broker._offsets.client, [], broker._connection.descriptions

    class Behind:
        """A client that does not know the last partition yet, as after partitions were added."""

        def offsets_for_times(self, places, timeout):
            calls.append("offsets")
            found = client.offsets_for_times(places, timeout)
            return found if len(calls) > 2 else [*found[:-1], FailedPlace(found[-1].partition, code)]

        def list_topics(self, name, timeout):
            calls.append("metadata")

    broker._offsets.client = Behind()
    held = broker.offsets(topic)
    assert (list(held), sum(found.end for found in held.values())) == (list(range(PARTITIONS)), 1)
    assert calls == ["offsets", "metadata", "offsets", "offsets"]
    assert broker._connection.descriptions == described + 1
    broker._offsets.client = client


class FailedPlace:
    """The answer for a partition that failed."""

    def __init__(self, partition, code):
        self.partition, self.offset, self.error = partition, -2, None if code is None else KafkaError(code)


class GappedReader(SilentReader):
    """A reader that has passed over offset 3 of partition 0."""

    def take_gaps(self):
        return {0: 3}


class PolicyTopics(FakeTopics):
    """Topics with or without compaction."""

    compacted = False

    def check_not_compacted(self, topic, *, is_required=False):
        assert is_required
        if self.compacted:
            raise TopicCompacted(topic, "compact")


@pytest.mark.parametrize(
    ("begin", "compacted", "error"),
    [(3, False, None), (4, False, OffsetGap), (0, True, TopicCompacted)],
    ids=["the log begins there", "the log begins behind it", "compacted"],
)
def test_an_offset_without_a_record_is_passed_over_only_if_no_record_can_have_been_deleted(broker, topic, begin, compacted, error):
    broker._topics = PolicyTopics()
    broker._topics.compacted = compacted
    broker.offsets = lambda _: {number: OffsetRange(begin, 9) for number in range(PARTITIONS)}
    broker._readers[topic] = reader = GappedReader(0)
    with nullcontext() if error is None else pytest.raises(error):
        broker.poll(topic, {0: 3}, **FOREVER)
    assert reader.is_closed == (error is not None)


def test_a_reader_in_doubt_is_exchanged_for_a_new_one(broker, topic):
    broker.append(topic, [b"ann"] * 3, [b"x"] * 3)
    (partition,) = [number for number, held in broker.offsets(topic).items() if held.end]
    broker._readers[topic] = reader = SilentReader(0)
    reader.is_in_doubt = True
    assert poll_until(broker, topic, {partition: 1})[0].offsets.to_pylist() == [1, 2]
    assert reader.is_closed


def test_nothing_is_held_back_without_a_transaction(broker, topic):
    broker.append(topic, [b"ann"] * 3, [b"x"] * 3)
    assert broker.count_held_back(topic) == {}


def test_a_member_joins_for_the_names_of_the_topics(broker):
    member = broker.join("group", "a", [Topic("one", "plays", ()), Topic("two", "plays", ())])
    assert (member._group, member._topics) == ("group", ["one", "two"])
    member.close()


def test_created_topics_are_waited_for_until_they_have_leaders(broker, topic):
    broker._topics = FakeTopics()
    asked = []

    def offsets(name):
        asked.append(name)
        if len(asked) < 3:
            raise (LeaderUnavailable("no leader") if len(asked) == 1 else TopicMissing(name))
        return {}

    broker.offsets = offsets
    broker.create_topics([Topic(topic, "plays", ())], partitions=1)
    assert asked == [topic] * 3


def test_a_created_topic_that_stays_without_leaders_is_unavailable(mock_cluster):
    broker = KafkaBroker(mock_cluster.access, answer_seconds=0.1, connect=MockConnection)
    broker._topics = FakeTopics()
    broker._connection.topic_ids["leaderless"] = ""
    with pytest.raises(Unavailable, match="the topic leaderless was created and cannot be used yet"):
        broker.create_topics([Topic("leaderless", "plays", ())], partitions=1)
    broker.close()


def test_closing_closes_every_reader(broker, topic):
    broker._readers[topic] = reader = SilentReader(0)
    broker.close()
    assert reader.is_closed
    assert broker._readers == {}
