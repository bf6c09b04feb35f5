"""The results of the readers: events, refused rows, and the error for a broken file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from soundlake.errors import DataError

SOURCE = "spotify_export"
"""The source of the rows of a Spotify export."""


class BrokenFile(DataError):
    """A file that cannot be read: the problem, and its position if known (line and column from 1, byte from 0)."""

    def __init__(self, name: str, problem: str, *, line: int | None = None, column: int | None = None, byte: int | None = None) -> None:
        at = ", ".join(f"{what} {number}" for what, number in (("line", line), ("column", column), ("byte", byte)) if number is not None)
        super().__init__(f"{name}: {problem}" + (f" ({at})" if at else ""), next_step="unpack or download it again, then import it again")
        self.name, self.problem = name, problem
        self.line, self.column, self.byte = line, column, byte


@dataclass(frozen=True)
class LeftOut:
    """A file that is not read, with the reason; `event_file` is its path if it has events in the contract's own fields."""

    name: str
    reason: str
    event_file: Path | None = None


@dataclass(frozen=True)
class RefusedRow:
    """A row that is not an event, with the reason; `row` as in the file, without personal fields."""

    reason: str
    row: Mapping[str, object]


@dataclass(frozen=True)
class HistoryRows:
    """Rows of one file: each is either an event (EVENT_SCHEMA) or refused. `notes` are sentences for the report."""

    events: pa.Table
    refused: tuple[RefusedRow, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rows_read(self) -> int:
        """The number of rows."""
        return int(self.events.num_rows) + len(self.refused)


@dataclass(frozen=True)
class FormRows:
    """The rows of one form: the reason of each refused row (None: it is an event), and the events in their order."""

    reasons: Sequence[str | None]
    events: pa.Table
