"""Compaction: merge the small files of every hour that has ended, and delete files that the table no longer uses."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from deltalake import DeltaTable, WriterProperties

from soundlake.lake.compaction_lease import hold_compaction_lease
from soundlake.lake.layout import TableLayout
from soundlake.lake.store_errors import translate_store_errors

Cell = tuple[str, ...]
"""The values of a table's partition columns, zero-padded: ('2026', '11', '22', '16')."""

PartitionFilter = list[tuple[str, str, str | list[str]]]

VACUUM_RETENTION_HOURS = 24
"""How long unused files are kept: a file that no commit names may belong to a commit in progress."""

_MANY_FILES = 200  # a commit's cost grows with the table's files: 5 ms of CPU with 3, 36 ms with 2,000
_LATE_EVENTS = timedelta(minutes=10)  # events of the hour that has just ended still arrive


@dataclass(frozen=True)
class Compaction:
    """What a compaction did to one table."""

    table: str
    files_before: int
    files_after: int
    files_deleted: int = 0


def compact_table(table: DeltaTable, layout: TableLayout, now: datetime) -> Compaction:
    """Rewrite the partitions that `plan_compaction` names, and delete expired log files. Writers may append meanwhile.

    Raises CommitConflict if another process compacts the table, or has deleted rows meanwhile.
    """
    before = after = 0
    if plan_compaction(count_files(table, layout), layout, now):
        with hold_compaction_lease(table, layout) as lease:
            for chosen in plan_compaction(count_files(table, layout), layout, now):
                lease.renew()
                with translate_store_errors(table.table_uri):
                    done = table.optimize.compact(
                        partition_filters=chosen, max_concurrent_tasks=1, writer_properties=WriterProperties(compression="ZSTD")
                    )
                before += done["numFilesRemoved"]
                after += done["numFilesAdded"]
    with translate_store_errors(table.table_uri):
        table.cleanup_metadata()
    return Compaction(layout.name, before, after)


def vacuum_table(table: DeltaTable, retention_hours: int = VACUUM_RETENTION_HOURS) -> int:
    """Delete unused files that are older than the retention; returns how many."""
    with translate_store_errors(table.table_uri):
        return len(table.vacuum(retention_hours=retention_hours, dry_run=False, enforce_retention_duration=False, full=True))


def count_files(table: DeltaTable, layout: TableLayout) -> dict[Cell, int]:
    """How many files each partition holds."""
    with translate_store_errors(table.table_uri):
        files = pa.table(table.get_add_actions(flatten=True))
    return Counter(zip(*(files[f"partition.{name}"].to_pylist() for name in layout.partition_by), strict=True))


def plan_compaction(counts: dict[Cell, int], layout: TableLayout, now: datetime) -> list[PartitionFilter]:
    """Filters for the partitions to compact, one a commit: those with several files whose time is over, and those with very many files.

    One filter covers the partitions that differ in the last column only (the hours of a day, the months of a year).
    """
    current = (now.astimezone(UTC) - _LATE_EVENTS).strftime("%Y-%m-%d-%H").split("-")
    first_open = tuple(current[: len(layout.partition_by)])
    groups: dict[Cell, list[str]] = defaultdict(list)
    for cell, count in sorted(counts.items()):
        if count > 1 and (cell < first_open or count >= _MANY_FILES):
            groups[cell[:-1]].append(cell[-1])
    *outer, last = layout.partition_by
    return [
        [*((name, "=", value) for name, value in zip(outer, shared, strict=True)), (last, "in", chosen)]
        for shared, chosen in groups.items()
    ]
