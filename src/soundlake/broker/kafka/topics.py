"""Topics as they shall be: made where they are missing, and compared with what is asked for where they are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from soundlake.broker.kafka.connection import REQUEST_SECONDS, Connection, TopicState
from soundlake.broker.validation import MAX_RECORD_BYTES, check_partition_count
from soundlake.contract import Topic
from soundlake.errors import Permanent, TopicMissing

FOREVER = -1
"""As retention: nothing is deleted for its age."""

_BATCH_OVERHEAD_BYTES = 64 * 1024  # what Kafka adds around the largest record


@dataclass(frozen=True)
class TopicPlan:
    """What every topic shall have; a replication of -1 is the cluster's own default."""

    partitions: int
    retention_ms: int = FOREVER
    replication: int = -1

    @property
    def configs(self) -> dict[str, str]:
        """Kafka's settings of the topic: the broker's own clock, no compaction, room for the largest record."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(MAX_RECORD_BYTES + _BATCH_OVERHEAD_BYTES),
        }


@dataclass(frozen=True)
class TopicCheck:
    """A topic as it is: whether this call made it, and where it differs from the plan, as `name: (found, wanted)`."""

    topic: str
    topic_id: str
    partitions: int
    made: bool
    differences: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class TopicManager:
    """Makes topics and looks after them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, topic: str) -> TopicState | None:
        """The topic, if it is there."""
        try:
            return self._connection.describe(topic)
        except TopicMissing:
            return None

    def make(self, topics: Sequence[Topic], plan: TopicPlan) -> set[str]:
        """Make the topics that do not exist; the names of those that were made."""
        check_partition_count(plan.partitions)
        new = [topic.name for topic in topics if self.find(topic.name) is None]
        if new:
            wanted = [NewTopic(name, plan.partitions, plan.replication, config=plan.configs) for name in new]
            for name, future in self._connection.admin.create_topics(wanted, request_timeout=REQUEST_SECONDS).items():
                self._make(name, future)
        return set(new)

    def _make(self, name: str, future: Future[None]) -> None:
        try:
            self._connection.ask(future, f"making the topic {name}")
        except Permanent as error:
            if not isinstance(cause := error.__cause__, KafkaException) or cause.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise  # somebody else may have been quicker, and then all is well

    def verify(self, topics: Sequence[Topic], plan: TopicPlan, made: set[str]) -> list[TopicCheck]:
        """Each topic beside the plan."""
        resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics]
        answers = self._connection.admin.describe_configs(resources, request_timeout=REQUEST_SECONDS)
        reports = []
        for topic in topics:
            state = self._connection.describe(topic.name)
            (answer,) = [future for resource, future in answers.items() if resource.name == topic.name]
            configs = self._connection.ask(answer, f"asking for the settings of {topic.name}", topic=topic.name)
            found = {"partitions": str(state.partitions), **{name: str(configs[name].value) for name in plan.configs}}
            wanted = {"partitions": str(plan.partitions), **plan.configs}
            differences = {name: (found[name], wanted[name]) for name in wanted if found[name] != wanted[name]}
            reports.append(TopicCheck(topic.name, state.topic_id, state.partitions, topic.name in made, differences))
        return reports

    def repair(self, reports: Sequence[TopicCheck]) -> None:
        """Set the settings that differ; partitions stay, for adding some would tear a listener's order apart."""
        resources = []
        for report in reports:
            entries = [
                ConfigEntry(name, wanted, incremental_operation=AlterConfigOpType.SET)
                for name, (_, wanted) in report.differences.items()
                if name != "partitions"
            ]
            if entries:
                resources.append(ConfigResource(ResourceType.TOPIC, report.topic, incremental_configs=entries))
        if resources:
            for resource, future in self._connection.admin.incremental_alter_configs(resources, request_timeout=REQUEST_SECONDS).items():
                self._connection.ask(future, f"changing the settings of {resource.name}", topic=resource.name)
