"""Apache Kafka as the event log, by librdkafka."""

from soundlake.broker.kafka.broker import KafkaBroker
from soundlake.broker.kafka.topics import TopicCheck, TopicPlan

__all__ = ["KafkaBroker", "TopicCheck", "TopicPlan"]
