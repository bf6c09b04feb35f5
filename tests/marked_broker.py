"""A log in memory in which some offsets hold no record, as a transaction's marker in Kafka."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.protocol import Records

MARKER = b"marker"
"""A record of this value takes an offset and is not delivered."""


class MarkedBroker:
    """Wraps a log in memory and hides its markers; `held_back` is what it reports for every topic."""

    def __init__(self, log: MemoryBroker) -> None:
        self.log = log
        self.held_back: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    def count_held_back(self, topic: str) -> dict[int, int]:
        """What the test has set."""
        return self.held_back if self.log.offsets(topic) else {}

    def poll(self, topic: str, offsets: dict[int, int], **limits: int) -> list[Records]:
        """The records without the markers."""
        return [_hide_markers(records) for records in self.log.poll(topic, offsets, **limits)]


def _hide_markers(records: Records) -> Records:
    shown = pc.not_equal(pc.fill_null(records.values, b""), pa.scalar(MARKER, pa.binary()))
    columns = {name: getattr(records, name).filter(shown) for name in ("offsets", "timestamps_ms", "keys", "values")}
    return replace(records, **columns)
