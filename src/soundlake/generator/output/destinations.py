"""Where the events of a run go: the event log or files, with the ground truth beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from soundlake.broker.protocol import Delivery
from soundlake.broker.publish_report import PublishReport
from soundlake.contract.topics import PLAYS, Topic
from soundlake.generator.output.event_files import EventWriter
from soundlake.generator.output.truth import TruthFolder


class EventPublisher(Protocol):
    """Publishes to the event log, as `broker.publisher.Publisher` does."""

    def publish(self, events: pa.Table) -> PublishReport:
        """Publish each row to the live topic of its event_type."""

    def publish_raw(self, topic: Topic, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Publish records unchanged."""


class Destination(Protocol):
    """Where the events of a run go."""

    @property
    def truth(self) -> TruthFolder | None:
        """The ground truth beside the stream (None: it is not recorded)."""

    def publish(self, events: pa.Table) -> PublishReport:
        """Send the events; the outcome of each."""

    def publish_malformed(self, records: Sequence[bytes]) -> Delivery:
        """Send records that cannot be decoded; the outcome of each."""


@dataclass(frozen=True)
class BrokerDestination:
    """The event log."""

    publisher: EventPublisher
    truth: TruthFolder | None = None

    def publish(self, events: pa.Table) -> PublishReport:
        """Publish the events and record the outcome."""
        return self.publisher.publish(events) if self.truth is None else self.truth.publish(events, self.publisher.publish)

    def publish_malformed(self, records: Sequence[bytes]) -> Delivery:
        """Publish the records to the topic of plays."""
        return self.publisher.publish_raw(PLAYS, [None] * len(records), records)


@dataclass(frozen=True)
class FileDestination:
    """Files: every event that is written counts as acknowledged."""

    writer: EventWriter
    truth: TruthFolder | None = None

    def publish(self, events: pa.Table) -> PublishReport:
        """Write the events and record them."""
        return self._write(events) if self.truth is None else self.truth.publish(events, self._write)

    def publish_malformed(self, records: Sequence[bytes]) -> Delivery:
        """Write the records among the events."""
        self.writer.write_malformed(records)
        return Delivery(len(records), {}, {})

    def _write(self, events: pa.Table) -> PublishReport:
        self.writer.write(events)
        return PublishReport(np.ones(len(events), np.bool_), np.zeros(len(events), np.bool_))
