"""Topics are created where they are missing, compared with the plan, and repaired; the cluster's administration is a fake."""

from __future__ import annotations

import time
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from soundlake.broker.kafka.connection import TopicState
from soundlake.broker.kafka.topics import TopicCheck, TopicManager, TopicPlan
from soundlake.broker.validation import MAX_RECORD_BYTES
from soundlake.contract.topics import LIKES, PLAYS, SKIPS
from soundlake.errors import Permanent, TopicCompacted, TopicMissing, UsageError


def answer(value=None, code=None):
    future = Future()
    future.set_result(value) if code is None else future.set_exception(KafkaException(KafkaError(code)))
    return future


class FakeCluster:
    """Connection and administration in one: `topics` maps a name to its settings."""

    def __init__(self, topics=None, create_error=None):
        self.topics = dict(topics or {})
        self.partitions = 4
        self.create_error = create_error
        self.created, self.altered, self.admin = [], [], self

    def describe(self, topic):
        if topic not in self.topics:
            raise TopicMissing(topic)
        return TopicState(f"id of {topic}", self.partitions)

    def await_answer(self, future, doing, *, topic=""):
        try:
            return future.result()
        except KafkaException as cause:
            raise Permanent(doing) from cause

    def create_topics(self, wanted, request_timeout):
        self.created += wanted
        self.topics |= {new.topic: dict(new.config) for new in wanted}
        return {new.topic: answer(code=self.create_error) for new in wanted}

    def describe_configs(self, resources, request_timeout):
        return {
            resource: answer({name: SimpleNamespace(value=value) for name, value in self.topics[resource.name].items()})
            for resource in resources
        }

    def incremental_alter_configs(self, resources, request_timeout):
        self.altered += [(resource.name, [(entry.name, entry.value) for entry in resource.incremental_configs]) for resource in resources]
        return {resource: answer() for resource in resources}


PLAN = TopicPlan(4, retention_ms=7)


def test_the_plan_keeps_every_record_readable():
    assert PLAN.configs == {
        "cleanup.policy": "delete",
        "retention.ms": "7",
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MAX_RECORD_BYTES + 65_536),
    }
    assert TopicPlan(1).configs["retention.ms"] == "-1"
    assert TopicPlan(1).replication == -1


def test_only_missing_topics_are_created_as_planned():
    cluster = FakeCluster({PLAYS.name: {}})
    assert TopicManager(cluster).create_missing([PLAYS, SKIPS], TopicPlan(4, 7, 3)) == {SKIPS.name}
    (new,) = cluster.created
    assert (new.topic, new.num_partitions, new.replication_factor, dict(new.config)) == (SKIPS.name, 4, 3, PLAN.configs)
    assert TopicManager(cluster).create_missing([PLAYS, SKIPS], PLAN) == set()


def test_a_topic_that_another_process_created_meanwhile_is_no_error():
    cluster = FakeCluster(create_error=KafkaError.TOPIC_ALREADY_EXISTS)
    assert TopicManager(cluster).create_missing([PLAYS], PLAN) == {PLAYS.name}


def test_any_other_refusal_is_raised():
    with pytest.raises(Permanent, match="creating the topic user_plays"):
        TopicManager(FakeCluster(create_error=KafkaError.INVALID_REPLICATION_FACTOR)).create_missing([PLAYS], PLAN)


def test_a_topic_needs_a_partition():
    with pytest.raises(UsageError, match="at least one"):
        TopicManager(FakeCluster()).create_missing([PLAYS], TopicPlan(0))


def test_each_topic_is_compared_with_the_plan():
    cluster = FakeCluster({PLAYS.name: PLAN.configs, SKIPS.name: PLAN.configs | {"cleanup.policy": "compact", "other": "1"}})
    checks = TopicManager(cluster).compare([PLAYS, SKIPS], PLAN, {SKIPS.name})
    assert checks == [
        TopicCheck(PLAYS.name, "id of user_plays", 4, created=False),
        TopicCheck(SKIPS.name, "id of user_skips", 4, created=True, differences={"cleanup.policy": ("compact", "delete")}),
    ]
    cluster.partitions = 5
    (check,) = TopicManager(cluster).compare([PLAYS], PLAN, set())
    assert (check.partitions, check.differences) == (5, {"partitions": ("5", "4")})


def test_settings_that_differ_are_repaired_and_partitions_are_not():
    cluster = FakeCluster()
    checks = [
        TopicCheck(PLAYS.name, "", 5, created=False, differences={"partitions": ("5", "4"), "cleanup.policy": ("compact", "delete")}),
        TopicCheck(SKIPS.name, "", 5, created=False, differences={"partitions": ("5", "4")}),
        TopicCheck(LIKES.name, "", 4, created=False),
    ]
    TopicManager(cluster).repair(checks)
    assert cluster.altered == [(PLAYS.name, [("cleanup.policy", "delete")])]
    TopicManager(cluster).repair(checks[1:])
    assert len(cluster.altered) == 1


@pytest.mark.parametrize(("policy", "is_refused"), [("delete", False), ("compact", True), ("compact,delete", True)])
def test_a_compacted_topic_is_refused_and_named(policy, is_refused):
    manager = TopicManager(FakeCluster({PLAYS.name: {"cleanup.policy": policy}}))
    if not is_refused:
        manager.check_not_compacted(PLAYS.name)
        return
    with pytest.raises(TopicCompacted, match=rf"user_plays has cleanup.policy={policy}") as caught:
        manager.check_not_compacted(PLAYS.name)
    assert "soundlake topics create --repair" in str(caught.value)


def test_the_cleanup_policy_is_read_again_after_a_second():
    cluster = FakeCluster({PLAYS.name: {"cleanup.policy": "delete"}})
    manager = TopicManager(cluster)
    manager.check_not_compacted(PLAYS.name)
    cluster.topics[PLAYS.name] = {"cleanup.policy": "compact"}
    manager.check_not_compacted(PLAYS.name)
    manager._policies[PLAYS.name] = (time.monotonic() - 1.1, "delete")
    with pytest.raises(TopicCompacted):
        manager.check_not_compacted(PLAYS.name)


class ForbiddenCluster(FakeCluster):
    """A cluster whose settings this client may not read."""

    def await_answer(self, future, doing, *, topic=""):
        raise UsageError(f"Kafka does not allow {doing}")


def test_settings_that_may_not_be_read_are_an_error_only_where_they_decide(caplog):
    manager = TopicManager(ForbiddenCluster({PLAYS.name: {"cleanup.policy": "delete"}}))
    for _ in range(2):
        manager.check_not_compacted(PLAYS.name)
    assert [record.message for record in caplog.records] == [
        "Kafka does not allow reading the settings of user_plays; whether user_plays is compacted is unknown"
    ]
    with pytest.raises(UsageError, match="does not allow"):
        manager.check_not_compacted(PLAYS.name, is_required=True)
