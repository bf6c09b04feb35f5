"""What a reader gives: events, and the rows it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

SOURCE = "spotify_export"
"""The contract's name of this source."""


@dataclass(frozen=True)
class RefusedRow:
    """A row that is no event, and why; `row` as it stands in the file, less what must never be stored."""

    reason: str
    row: Mapping[str, object]


@dataclass(frozen=True)
class HistoryRows:
    """All rows of one file: each is an event (EVENT_SCHEMA) or refused."""

    events: pa.Table
    refused: tuple[RefusedRow, ...]

    @property
    def rows_read(self) -> int:
        """How many rows the file has."""
        return int(self.events.num_rows) + len(self.refused)


@dataclass(frozen=True)
class Reading:
    """The rows of one form: why each is refused (None: it is not), and the events of the others in their order."""

    reasons: Sequence[str | None]
    events: pa.Table
