"""Topic administration: create missing topics, compare existing ones with the plan, repair their settings."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from soundlake.broker.kafka.connection import REQUEST_SECONDS, Connection, TopicState
from soundlake.broker.validation import MAX_RECORD_BYTES, check_partition_count
from soundlake.contract import Topic
from soundlake.errors import Permanent, TopicCompacted, TopicMissing, UsageError

log = logging.getLogger(__name__)

FOREVER = -1
"""As retention: records are never deleted for their age."""

_POLICY_SECONDS = 1.0  # how long a cleanup policy counts as known
_BATCH_OVERHEAD_BYTES = 64 * 1024  # what Kafka adds around the largest record


@dataclass(frozen=True)
class TopicPlan:
    """The wanted settings of every topic; a replication of -1 is the cluster's default."""

    partitions: int
    retention_ms: int = FOREVER
    replication: int = -1

    @property
    def configs(self) -> dict[str, str]:
        """Kafka's settings of the topic: the broker's clock, no compaction, room for the largest record."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(MAX_RECORD_BYTES + _BATCH_OVERHEAD_BYTES),
        }


@dataclass(frozen=True)
class TopicCheck:
    """A topic as found: whether this call created it, and its differences from the plan, as `name: (found, wanted)`."""

    topic: str
    topic_id: str
    partitions: int
    created: bool
    differences: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class TopicManager:
    """Creates, compares and repairs topics."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._policies: dict[str, tuple[float, str]] = {}
        self._unreadable: set[str] = set()

    def find(self, topic: str) -> TopicState | None:
        """The topic, if it exists."""
        try:
            return self._connection.describe(topic)
        except TopicMissing:
            return None

    def create_missing(self, topics: Sequence[Topic], plan: TopicPlan) -> set[str]:
        """Create the topics that do not exist and return their names."""
        check_partition_count(plan.partitions)
        new = [topic.name for topic in topics if self.find(topic.name) is None]
        if new:
            wanted = [NewTopic(name, plan.partitions, plan.replication, config=plan.configs) for name in new]
            for name, future in self._connection.admin.create_topics(wanted, request_timeout=REQUEST_SECONDS).items():
                self._await_creation(name, future)
        return set(new)

    def _await_creation(self, name: str, future: Future[None]) -> None:
        try:
            self._connection.await_answer(future, f"creating the topic {name}")
        except Permanent as error:
            if not isinstance(cause := error.__cause__, KafkaException) or cause.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise  # another process may have created it meanwhile

    def compare(self, topics: Sequence[Topic], plan: TopicPlan, created: set[str]) -> list[TopicCheck]:
        """Compare each topic with the plan."""
        resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics]
        answers = self._connection.admin.describe_configs(resources, request_timeout=REQUEST_SECONDS)
        checks = []
        for topic in topics:
            state = self._connection.describe(topic.name)
            (answer,) = [future for resource, future in answers.items() if resource.name == topic.name]
            configs = self._connection.await_answer(answer, f"reading the settings of {topic.name}", topic=topic.name)
            found = {"partitions": str(state.partitions), **{name: str(configs[name].value) for name in plan.configs}}
            wanted = {"partitions": str(plan.partitions), **plan.configs}
            differences = {name: (found[name], wanted[name]) for name in wanted if found[name] != wanted[name]}
            checks.append(TopicCheck(topic.name, state.topic_id, state.partitions, topic.name in created, differences))
        return checks

    def check_not_compacted(self, topic: str, *, is_required: bool = False) -> None:
        """Raise TopicCompacted if the topic is compacted: a missing offset might then be a lost record.

        If the client may not read the settings, this raises UsageError where it `is_required`, and is logged once otherwise.
        """
        try:
            policy = self._read_policy(topic)
        except TopicMissing:
            raise
        except UsageError as error:
            if is_required:
                raise
            if topic not in self._unreadable:
                log.warning("%s; whether %s is compacted is unknown", error.message, topic)
            self._unreadable.add(topic)
            return
        if "compact" in policy:
            raise TopicCompacted(topic, policy)

    def _read_policy(self, topic: str) -> str:
        read_at, policy = self._policies.get(topic, (0.0, ""))
        if not policy or time.monotonic() - read_at > _POLICY_SECONDS:
            (answer,) = self._connection.admin.describe_configs(
                [ConfigResource(ResourceType.TOPIC, topic)], request_timeout=REQUEST_SECONDS
            ).values()
            configs = self._connection.await_answer(answer, f"reading the settings of {topic}", topic=topic)
            policy = str(configs["cleanup.policy"].value)
            self._policies[topic] = (time.monotonic(), policy)
        return policy

    def repair(self, checks: Sequence[TopicCheck]) -> None:
        """Set the settings that differ. Partitions are never added: a listener's events would move to another one, out of order."""
        resources = []
        for check in checks:
            entries = [
                ConfigEntry(name, wanted, incremental_operation=AlterConfigOpType.SET)
                for name, (_, wanted) in check.differences.items()
                if name != "partitions"
            ]
            if entries:
                resources.append(ConfigResource(ResourceType.TOPIC, check.topic, incremental_configs=entries))
        if resources:
            for resource, future in self._connection.admin.incremental_alter_configs(resources, request_timeout=REQUEST_SECONDS).items():
                self._connection.await_answer(future, f"changing the settings of {resource.name}", topic=resource.name)
