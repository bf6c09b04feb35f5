"""The result of an import, in which every row is counted: rows_read = rows_stored + rows_duplicate + rows_refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.history import BrokenFile

OnBytesRead = Callable[[int], None]
"""Called with the number of bytes that were read since the last call, for a progress bar."""


@dataclass
class RowCounts:
    """The counts of one listener, or of all: `ms_played` of the stored plays, the first and last time of all events read."""

    rows_stored: int = 0
    rows_duplicate: int = 0
    refused_by_reason: Counter[str] = field(default_factory=Counter)
    ms_played: int = 0
    first_played_at: datetime | None = None
    last_played_at: datetime | None = None

    @property
    def rows_refused(self) -> int:
        """Rows that are not an event."""
        return self.refused_by_reason.total()

    @property
    def rows_read(self) -> int:
        """All rows; each is stored, duplicate or refused."""
        return self.rows_stored + self.rows_duplicate + self.rows_refused

    def count_events(self, events: pa.Table, stored: pa.Array) -> None:
        """Count a batch of events: as stored where the mask is true, the others as duplicates."""
        count = pc.sum(stored).as_py() or 0
        self.rows_stored += count
        self.rows_duplicate += len(events) - count
        self.ms_played += pc.sum(events["ms_played"].filter(stored)).as_py() or 0
        bounds = pc.min_max(events["played_at"]).as_py()
        self._widen(bounds["min"], bounds["max"])

    def add(self, other: RowCounts) -> None:
        """Add the counts of another listener."""
        self.rows_stored += other.rows_stored
        self.rows_duplicate += other.rows_duplicate
        self.refused_by_reason += other.refused_by_reason
        self.ms_played += other.ms_played
        self._widen(other.first_played_at, other.last_played_at)

    def _widen(self, first: datetime | None, last: datetime | None) -> None:
        self.first_played_at = min((time for time in (self.first_played_at, first) if time), default=None)
        self.last_played_at = max((time for time in (self.last_played_at, last) if time), default=None)

    def as_json(self) -> dict[str, Any]:
        """The counts by name; times in ISO 8601 with Z."""
        return {
            "rows_read": self.rows_read,
            "rows_stored": self.rows_stored,
            "rows_duplicate": self.rows_duplicate,
            "rows_refused": self.rows_refused,
            "refused_by_reason": dict(sorted(self.refused_by_reason.items())),
            "ms_played": self.ms_played,
            "first_played_at": _format(self.first_played_at),
            "last_played_at": _format(self.last_played_at),
        }


@dataclass
class ImportReport:
    """One import: the counts of each listener (under the name "" where a file mixes them), and the files."""

    source: str
    by_listener: dict[str, RowCounts] = field(default_factory=dict)
    files_read: list[str] = field(default_factory=list)
    files_left_out: list[str] = field(default_factory=list)
    files_broken: list[BrokenFile] = field(default_factory=list)

    @property
    def total(self) -> RowCounts:
        """All listeners together."""
        total = RowCounts()
        for counts in self.by_listener.values():
            total.add(counts)
        return total

    @property
    def exit_code(self) -> int:
        """0, or 3 if a file is broken."""
        return BrokenFile.exit_code if self.files_broken else 0

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object; `listeners` has the counts of each where there are several."""
        names = [name for name in self.by_listener if name]
        return {
            "source": self.source,
            "listener": names[0] if len(names) == 1 else None,
            **self.total.as_json(),
            "files_read": self.files_read,
            "files_left_out": self.files_left_out,
            "files_broken": [
                {"file": file.name, "problem": file.problem, "line": file.line, "column": file.column, "byte": file.byte}
                for file in self.files_broken
            ],
            "listeners": [{"listener": name, **self.by_listener[name].as_json()} for name in names] if len(names) > 1 else [],
        }


def _format(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")
