"""Write the plays of a run as one source shows them, and beside it which row shows which play."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract import EVENT_SCHEMA
from soundlake.errors import UsageError
from soundlake.generator.output.event_files import claim_empty_folder
from soundlake.generator.output.views.service_records import SERVICE_FAULTS, describe_plays
from soundlake.generator.output.views.source_faults import add_faults
from soundlake.generator.output.views.view import IDENTITY_SCHEMA, View, complete_event_ids

RecordRows = Callable[[pa.Table], None]
"""Takes the true play of each row: `view`, IDENTITY_SCHEMA and `faults`, the names of the faults that the play has in this view."""


@dataclass(frozen=True)
class Period:
    """The plays that a source knows: those that it stored in [since, until), UTC."""

    since: datetime | None = None
    until: datetime | None = None

    def filter(self, plays: pa.Table) -> pa.Table:
        """The plays (`stored_ms`) within the period."""
        stored = plays["stored_ms"]
        if self.since is not None:
            plays = plays.filter(pc.greater_equal(stored, int(self.since.timestamp() * 1_000)))
        if self.until is not None:
            plays = plays.filter(pc.less(plays["stored_ms"], int(self.until.timestamp() * 1_000)))
        return plays


ALWAYS = Period()


class ViewFolder:
    """Writes the plays among the events into an empty folder, in the form of a view, when the block ends without an error.

    Raises UsageError if the folder cannot be written to or is not empty.
    """

    chunk_writer = None

    def __init__(self, folder: Path, view: View, *, seed: int, period: Period = ALWAYS, record_rows: RecordRows | None = None) -> None:
        self._folder, self._view, self._seed, self._period, self._record_rows = folder, view, seed, period, record_rows
        claim_empty_folder(folder)
        self._plays: list[pa.Table] = []

    def write(self, events: pa.Table) -> None:
        """Add the plays among the events; a play without a listener belongs to no history."""
        plays = events.filter(pc.and_(pc.equal(events["event_type"], "play"), pc.is_valid(events["user_id"])))
        self._plays.append(plays.cast(EVENT_SCHEMA))

    def write_malformed(self, records: Sequence[bytes]) -> None:
        """Raises UsageError: a history has plays only."""
        raise UsageError(f"{len(records)} malformed records cannot be written to an export", next_step="leave out --malformed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and self._plays:
            self._write_rows()

    def _write_rows(self) -> None:
        plays = self._period.filter(describe_plays(pa.concat_tables(self._plays), self._seed))
        plays = add_faults(plays, self._view.name, self._view.faults, self._seed)
        rows = complete_event_ids(_select_rows(plays, self._view))
        self._view.write(self._folder, rows)
        if self._record_rows is not None:
            known = rows.select(IDENTITY_SCHEMA.names).cast(IDENTITY_SCHEMA).append_column("faults", rows["faults"])
            self._record_rows(known.add_column(0, "view", pa.repeat(self._view.name, len(rows))))


def _select_rows(plays: pa.Table, view: View) -> pa.Table:
    """The rows of the view, sorted by listener and place, with the faults of their plays."""
    names = [fault.name for fault in (*SERVICE_FAULTS, *view.faults) if fault.share < 1]
    faults = ", ".join(f"case when plays.{name} then '{name}' end" for name in names)
    statement = f"""
        with selected as ({view.select()})
        select selected.*, concat_ws(' ', {faults}) as faults
        from selected join plays using (play_id) order by selected.user_id, selected.place, play_id
    """  # noqa: S608  # a view's own text, nothing from outside
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("plays", plays)
        return connection.sql(statement).to_arrow_table()
