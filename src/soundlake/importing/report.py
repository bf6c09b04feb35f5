"""The result of an import, in which every row is counted: rows_read = rows_stored + rows_duplicate + rows_refused + rows_forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.history import BrokenFile, LeftOut

OnBytesRead = Callable[[int], None]
"""Called with the number of bytes that were read since the last call, for a progress bar."""


@dataclass
class RowCounts:
    """The counts of one listener, or of all: `ms_played` of the stored plays, the first and last time of all events read.

    `rows_forgotten` are of listeners who were forgotten: they are not published.
    """

    rows_stored: int = 0
    rows_duplicate: int = 0
    refused_by_reason: Counter[str] = field(default_factory=Counter)
    ms_played: int = 0
    first_played_at: datetime | None = None
    last_played_at: datetime | None = None
    rows_forgotten: int = 0

    @property
    def rows_refused(self) -> int:
        """Rows that are not an event."""
        return self.refused_by_reason.total()

    @property
    def rows_read(self) -> int:
        """All rows; each is stored, duplicate, refused or forgotten."""
        return self.rows_stored + self.rows_duplicate + self.rows_refused + self.rows_forgotten

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
        self.rows_forgotten += other.rows_forgotten
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
            **({"rows_forgotten": self.rows_forgotten} if self.rows_forgotten else {}),
            "refused_by_reason": dict(sorted(self.refused_by_reason.items())),
            "ms_played": self.ms_played,
            "first_played_at": _format(self.first_played_at),
            "last_played_at": _format(self.last_played_at),
        }


@dataclass
class ImportReport:
    """One import: the counts of each source and listener (the listener "" where a file mixes them), and the files.

    `notes` are sentences on what a reader had to decide: times without a zone, pages that were read twice.
    """

    by_source: dict[tuple[str, str], RowCounts] = field(default_factory=dict)
    files_read: list[str] = field(default_factory=list)
    files_left_out: list[LeftOut] = field(default_factory=list)
    files_broken: list[BrokenFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def get_counts(self, source: str, listener: str) -> RowCounts:
        """The counts of a source and listener, to be added to."""
        return self.by_source.setdefault((source, listener), RowCounts())

    @property
    def sources(self) -> list[str]:
        """The sources of the files read."""
        return list(dict.fromkeys(source for source, _ in self.by_source))

    @property
    def by_listener(self) -> dict[str, RowCounts]:
        """The counts of each listener over all sources."""
        sums: dict[str, RowCounts] = {}
        for (_, listener), counts in self.by_source.items():
            sums.setdefault(listener, RowCounts()).add(counts)
        return sums

    @property
    def total(self) -> RowCounts:
        """All listeners and sources together."""
        total = RowCounts()
        for counts in self.by_source.values():
            total.add(counts)
        return total

    @property
    def exit_code(self) -> int:
        """0, or 3 if a file is broken."""
        return BrokenFile.exit_code if self.files_broken else 0

    def add(self, other: ImportReport) -> None:
        """Add the files and counts of another import."""
        for (source, listener), counts in other.by_source.items():
            self.get_counts(source, listener).add(counts)
        self.files_read += other.files_read
        self.files_left_out += other.files_left_out
        self.files_broken += other.files_broken
        self.notes += other.notes

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object; `sources` and `listeners` have the counts of each where there are several."""
        by_listener = {name: counts for name, counts in self.by_listener.items() if name}
        by_source = {name: self._sum_source(name) for name in self.sources}
        return {
            "source": _get_single(by_source),
            "listener": _get_single(by_listener),
            **self.total.as_json(),
            "files_read": self.files_read,
            "files_left_out": [file.name for file in self.files_left_out],
            "left_out_because": {file.name: file.reason for file in self.files_left_out},
            "files_broken": [
                {"file": file.name, "problem": file.problem, "line": file.line, "column": file.column, "byte": file.byte}
                for file in self.files_broken
            ],
            "notes": self.notes,
            "sources": _list_counts("source", by_source),
            "listeners": _list_counts("listener", by_listener),
        }

    def _sum_source(self, source: str) -> RowCounts:
        total = RowCounts()
        for (name, _), counts in self.by_source.items():
            if name == source:
                total.add(counts)
        return total


def _get_single(counts: Mapping[str, RowCounts]) -> str | None:
    return next(iter(counts)) if len(counts) == 1 else None


def _list_counts(what: str, counts: Mapping[str, RowCounts]) -> list[dict[str, Any]]:
    return [{what: name, **one.as_json()} for name, one in counts.items()] if len(counts) > 1 else []


def _format(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")
