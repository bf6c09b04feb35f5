"""The event log: carries events from those who make them to the lake, with an account of each."""

from soundlake.broker.embedded import EmbeddedBroker
from soundlake.broker.memory import MemoryBroker
from soundlake.broker.protocol import Broker, Clock, Delivery, OffsetRange, Records, read_utc_now
from soundlake.broker.publish_report import PublishReport
from soundlake.broker.publisher import Publisher

__all__ = [
    "Broker", "Clock", "Delivery", "EmbeddedBroker", "MemoryBroker", "OffsetRange", "PublishReport", "Publisher", "Records",
    "read_utc_now",
]  # fmt: skip
