"""The consumer group of the sinks, and the membership of a sink that reads all partitions without one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from soundlake.broker.protocol import Assignment, Broker
from soundlake.errors import TopicMissing

CONSUMER_GROUP = "soundlake-sink"
"""The group in which sinks share partitions, and under which the broker keeps their offsets for lag monitors."""


class SoleMembership:
    """All partitions, without asking the broker. Of two such sinks on one partition, one stops with PositionMoved."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @contextmanager
    def hold(self, stop: threading.Event, deadline: float | None = None) -> Iterator[Assignment | None]:  # noqa: ARG002  # it never waits
        """Everything, never revoked."""
        yield Assignment()

    def commit(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Publish the next offset of each partition for lag monitors."""
        with suppress(TopicMissing):  # the reader meets it too, and hands out first what came from the topic
            self._broker.commit(CONSUMER_GROUP, topic, offsets)

    def close(self) -> None:
        """Nothing to leave."""
