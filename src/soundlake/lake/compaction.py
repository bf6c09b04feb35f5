"""Make one file of many in every hour that is over, and delete what no commit names any more."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from deltalake import DeltaTable, WriterProperties

from soundlake.lake.store_errors import translate_store_errors
from soundlake.lake.layout import TableLayout

Cell = tuple[str, ...]
"""The values of a table's partition columns, zero-padded: ('2026', '11', '22', '16')."""

PartitionFilter = list[tuple[str, str, str | list[str]]]

VACUUM_RETENTION_HOURS = 24
"""A file that no commit names may still be on its way into one: it is left alone for this long."""

_CROWDED_FILES = 200  # a commit's cost grows with the table's files: 5 ms of CPU with 3, 36 ms with 2,000
_MARGIN = timedelta(minutes=10)  # events of the hour that has just ended are still arriving


@dataclass(frozen=True)
class Compaction:
    """What was done to one table."""

    table: str
    files_before: int
    files_after: int
    files_deleted: int = 0


def compact_table(table: DeltaTable, layout: TableLayout, now: datetime) -> Compaction:
    """Rewrite the partitions that `plan_compaction` names, and drop expired log files; others keep writing meanwhile."""
    before = after = 0
    for chosen in plan_compaction(count_files(table, layout), layout, now):
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
    """Delete files that no commit names, or none any more, once they are old enough; returns how many."""
    with translate_store_errors(table.table_uri):
        return len(table.vacuum(retention_hours=retention_hours, dry_run=False, enforce_retention_duration=False, full=True))


def count_files(table: DeltaTable, layout: TableLayout) -> dict[Cell, int]:
    """How many files each partition holds."""
    with translate_store_errors(table.table_uri):
        files = pa.table(table.get_add_actions(flatten=True))
    return Counter(zip(*(files[f"partition.{name}"].to_pylist() for name in layout.partition_by), strict=True))


def plan_compaction(counts: dict[Cell, int], layout: TableLayout, now: datetime) -> list[PartitionFilter]:
    """The filters that reach every partition that holds several files and is over, or is crowded; one a commit.

    Partitions are taken together by all columns but the last (the hours of a day, the months of a year).
    """
    current = (now.astimezone(UTC) - _MARGIN).strftime("%Y-%m-%d-%H").split("-")
    first_open = tuple(current[: len(layout.partition_by)])
    groups: dict[Cell, list[str]] = defaultdict(list)
    for cell, count in sorted(counts.items()):
        if count > 1 and (cell < first_open or count >= _CROWDED_FILES):
            groups[cell[:-1]].append(cell[-1])
    *outer, last = layout.partition_by
    return [
        [*((name, "=", value) for name, value in zip(outer, shared, strict=True)), (last, "in", chosen)]
        for shared, chosen in groups.items()
    ]
