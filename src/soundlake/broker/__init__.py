"""The event log between the producers of events and the lake: Apache Kafka, an SQLite file, or memory."""

from soundlake.broker.embedded import EmbeddedBroker
from soundlake.broker.memory import MemoryBroker
from soundlake.broker.protocol import Broker, Clock, Delivery, OffsetRange, Records, read_utc_now
from soundlake.broker.publish_report import PublishReport
from soundlake.broker.publisher import Publisher

__all__ = [
    "Broker", "Clock", "Delivery", "EmbeddedBroker", "MemoryBroker", "OffsetRange", "PublishReport", "Publisher", "Records",
    "read_utc_now",
]  # fmt: skip
