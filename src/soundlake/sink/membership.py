"""Who reads which partitions: several sinks by a group of the broker's, or one sink all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from soundlake.broker.protocol import Assignment, Broker
from soundlake.errors import TopicMissing

CONSUMER_GROUP = "soundlake-sink"
"""The group in which sinks share partitions, and under which the broker remembers how far they are, for lag monitors."""


class SoleMembership:
    """The membership of a sink that asks nobody: all partitions, whoever else stores them. Of two such sinks one gives way."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @contextmanager
    def hold(self, stop: threading.Event, deadline: float | None = None) -> Iterator[Assignment | None]:  # noqa: ARG002 it never has to wait
        """Everything, for as long as one likes."""
        yield Assignment()

    def commit(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Remember the next offset of each partition for lag monitors."""
        with suppress(TopicMissing):  # it is met by the reading too, which hands out first what came from it
            self._broker.commit(CONSUMER_GROUP, topic, offsets)

    def close(self) -> None:
        """Nothing to leave."""
