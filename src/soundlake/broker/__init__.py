"""The event log: carries events from those who make them to the lake, and to nobody twice by itself."""

from soundlake.broker.embedded import EmbeddedBroker
from soundlake.broker.memory import MemoryBroker
from soundlake.broker.protocol import Broker, Clock, Delivery, OffsetRange, Records, read_utc_now

__all__ = ["Broker", "Clock", "Delivery", "EmbeddedBroker", "MemoryBroker", "OffsetRange", "Records", "read_utc_now"]
