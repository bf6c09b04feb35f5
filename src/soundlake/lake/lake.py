"""The lake by its address: a folder, or a bucket that takes S3's or Google's verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, Field
from deltalake.exceptions import TableNotFoundError

from soundlake.errors import Unavailable
from soundlake.lake.compaction import Compaction, compact_table, vacuum_table
from soundlake.lake.store_errors import CommitConflict, translate_store_errors
from soundlake.lake.layout import LAYOUTS, TABLE_PROPERTIES, TableLayout
from soundlake.lake.retention import delete_old_rows
from soundlake.lake.object_store import open_store, check_create_only
from soundlake.lake.delta_table import DeltaBronzeTable
from soundlake.settings import Address

_COMMITS_LOOKED_AT = 20  # compaction's are among them


class Lake:
    """All tables of one lake. Opening it touches nothing; `ensure_tables` makes what is missing."""

    def __init__(self, address: Address, storage_options: Mapping[str, str] | None = None) -> None:
        self.address = address
        self.storage_options = dict(storage_options or {})
        self._root = str(address.path) if address.path is not None else address.url.rstrip("/")
        self._is_proven = "://" not in self._root  # a folder creates by link

    def find_uri(self, name: str, layer: str = "bronze") -> str:
        """Where a table lies, as Delta readers take it: a path, or s3://bucket/…."""
        return f"{self._root}/{layer}/{name}"

    def ensure_tables(self) -> None:
        """Make every bronze table that is not there, empty, and give those that are there the contract's newer columns."""
        for layout in LAYOUTS.values():
            with translate_store_errors(self.find_uri(layout.name)):
                self._ensure_table(layout)

    def open_table(self, name: str, checkpoint: Callable[[str], None] = lambda _: None) -> DeltaBronzeTable:
        """The bronze table of that name for one writer; `checkpoint` is told when its files are written."""
        layout, uri = LAYOUTS[name], self.find_uri(name)
        with translate_store_errors(uri):
            store = open_store(uri, self.storage_options)
        return DeltaBronzeTable(uri, layout, store, self.storage_options, checkpoint=checkpoint, prove=self._prove_store)

    def read(self, name: str, columns: list[str] | None = None, rows_where: pc.Expression | None = None) -> pa.Table:
        """The rows of a bronze table as it is now."""
        return self.open_table(name).read(columns, rows_where)

    def read_last_batch(self, name: str) -> int:
        """The number of the last batch of a bronze table, 0 when there is none."""
        return self.open_table(name).read_last_batch()

    def read_last_write_time(self, name: str, layer: str = "bronze") -> datetime | None:
        """When rows, or positions, were last committed to a table (UTC); None if not lately. Raises Unavailable if there is none."""
        with translate_store_errors(self.find_uri(name, layer)):
            commits = self._open(name, layer).history(limit=_COMMITS_LOOKED_AT)
        written = [commit["timestamp"] for commit in commits if commit.get("operation") == "WRITE"]
        return datetime.fromtimestamp(written[0] / 1_000, UTC) if written else None

    def read_table_id(self, name: str) -> str:
        """The id of a bronze table itself: another one once it is made anew."""
        return str(self._open(name).metadata().id)

    def compact(self, now: datetime, *, vacuum_retention_hours: int | None = None) -> list[Compaction]:
        """Compact what is over in every bronze table; with a retention, delete older files that no commit names too.

        A table that another process compacts at the same time is left to that one.
        """
        return [self._compact(layout, now, vacuum_retention_hours) for layout in LAYOUTS.values()]

    def delete_rows_before(self, before: datetime) -> dict[str, int]:
        """Let go of all rows of bronze that happened and came before that moment, whole hours (months, days) at once; how many by table.

        A table that another process changes in the same places is left to the next round.
        """
        dropped = {}
        for layout in LAYOUTS.values():
            with suppress(CommitConflict):
                if count := delete_old_rows(self._open(layout.name), layout, self.storage_options, before):
                    dropped[layout.name] = count
        return dropped

    def _prove_store(self) -> None:
        """Before the first table is made and before the first commit: the store creates only what is not there."""
        if not self._is_proven:
            with translate_store_errors(self._root):
                check_create_only(self._root, self.storage_options)
            self._is_proven = True

    def _compact(self, layout: TableLayout, now: datetime, retention_hours: int | None) -> Compaction:
        table = self._open(layout.name)
        try:
            done = compact_table(table, layout, now)
        except CommitConflict:
            return Compaction(layout.name, 0, 0)
        deleted = 0 if retention_hours is None else vacuum_table(self._open(layout.name), retention_hours)
        return Compaction(done.table, done.files_before, done.files_after, deleted)

    def _open(self, name: str, layer: str = "bronze") -> DeltaTable:
        uri = self.find_uri(name, layer)
        try:
            with translate_store_errors(uri):
                return DeltaTable(uri, storage_options=self.storage_options)
        except Unavailable as cause:
            if isinstance(cause.__cause__, TableNotFoundError):
                writer = "sink" if layer == "bronze" else "stream"
                raise Unavailable(f"{uri}: there is no such table yet", next_step=f"run `soundlake {writer}` first") from cause
            raise

    def _ensure_table(self, layout: TableLayout) -> None:
        uri = self.find_uri(layout.name)
        if not DeltaTable.is_deltatable(uri, self.storage_options):
            self._prove_store()
            DeltaTable.create(
                uri,
                schema=layout.full_schema,
                mode="ignore",
                partition_by=list(layout.partition_by),
                configuration={**TABLE_PROPERTIES, "delta.dataSkippingStatsColumns": ",".join(layout.stats_columns)},
                storage_options=self.storage_options,
            )
            return
        table = DeltaTable(uri, storage_options=self.storage_options)
        known = {field.name for field in table.schema().fields}
        missing = [Field.from_arrow(field) for field in layout.full_schema if field.name not in known]
        if missing:
            table.alter.add_columns(missing)
