"""The lake at an address: a folder, or a bucket of an S3-compatible store or Google Cloud Storage."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, Field
from deltalake.exceptions import TableNotFoundError

from soundlake.errors import Unavailable
from soundlake.lake.compaction import Compaction, compact_table, vacuum_table
from soundlake.lake.compaction_lease import LEASE_METADATA
from soundlake.lake.delta_table import DeltaBronzeTable
from soundlake.lake.forgotten import Forgotten, Tombstones
from soundlake.lake.incremental_reader import NewRowsReader
from soundlake.lake.layout import LAYOUTS, TABLE_PROPERTIES, TableLayout
from soundlake.lake.object_store import check_create_only, open_store
from soundlake.lake.protocol import Checkpoint, CommitConflict, ignore_checkpoint
from soundlake.lake.retention import delete_old_rows
from soundlake.lake.store_errors import translate_store_errors
from soundlake.lake.table_log import create_table
from soundlake.local_files import hold_alone, share_lock
from soundlake.settings import Address

_COMMITS_SEARCHED = 20  # compaction's are among them


class Lake:
    """All tables of one lake. Opening it reads nothing; `ensure_tables` creates what is missing.

    `lock_folder` has the writers' lock of a lake in a bucket; a folder has its own.
    """

    def __init__(self, address: Address, storage_options: Mapping[str, str] | None = None, *, lock_folder: Path | None = None) -> None:
        self.address = address
        self.storage_options = dict(storage_options or {})
        self._lock = (address.path or lock_folder or Path(tempfile.gettempdir())) / "writers.lock"
        self._root = str(address.path) if address.path is not None else address.url.rstrip("/")
        self._tombstones: Tombstones | None = None
        self._is_checked = "://" not in self._root  # in a folder, delta-rs creates log files by hard link

    def find_uri(self, name: str, layer: str = "bronze") -> str:
        """The address of a table for Delta readers: a path, or s3://bucket/…."""
        return f"{self._root}/{layer}/{name}"

    def ensure_tables(self) -> None:
        """Create missing bronze tables, and add the contract's newer columns to existing ones."""
        for layout in LAYOUTS.values():
            with translate_store_errors(self.find_uri(layout.name)):
                self._ensure_table(layout)

    def open_table(self, name: str, checkpoint: Checkpoint = ignore_checkpoint) -> DeltaBronzeTable:
        """The bronze table of that name for one writer or reader; `checkpoint` as in `BronzeTables`."""
        layout, uri = LAYOUTS[name], self.find_uri(name)
        with translate_store_errors(uri):
            store = open_store(uri, self.storage_options)
        return DeltaBronzeTable(uri, layout, store, self.storage_options, checkpoint=checkpoint, check_store=self._check_store)

    @property
    def root(self) -> str:
        """The address of the lake: a path, or s3://bucket."""
        return self._root

    @property
    def tombstones(self) -> Tombstones:
        """Who was forgotten."""
        if self._tombstones is None:
            with translate_store_errors(self._root):
                self._tombstones = Tombstones(open_store(self._root, self.storage_options))
        return self._tombstones

    @contextmanager
    def begin_write(self) -> Iterator[Forgotten]:
        """Hold the writers' lock together with other writers for the block; yields who was forgotten, whose rows are not to be stored."""
        with share_lock(self._lock):
            with translate_store_errors(self._root):
                forgotten = self.tombstones.read()
            yield forgotten

    @contextmanager
    def write_alone(self) -> Iterator[None]:
        """Wait for the writers of this machine, and hold their lock alone for the block: no file is written and not committed then."""
        with hold_alone(self._lock):
            yield

    def read(self, name: str, columns: list[str] | None = None, rows_where: pc.Expression | None = None) -> pa.Table:
        """The rows of a bronze table as it is now."""
        return self.open_table(name).read(columns, rows_where)

    def open_new_rows(self, name: str) -> NewRowsReader:
        """A reader of a bronze table that returns each row once."""
        return NewRowsReader(self.find_uri(name), LAYOUTS[name], lambda: self.open_delta(name), self.storage_options)

    def read_last_batch(self, name: str) -> int:
        """The number of the last batch of a bronze table, 0 when there is none."""
        return self.open_table(name).read_last_batch()

    def has_rows(self, name: str) -> bool:
        """Whether a bronze table has rows. Raises Unavailable if the table is missing."""
        with translate_store_errors(self.find_uri(name)):
            return bool(self.open_delta(name).file_uris())

    def read_last_write_time(self, name: str, layer: str = "bronze") -> datetime | None:
        """When rows or positions were last committed (UTC); None if not in the last commits. Raises Unavailable if the table is missing."""
        with translate_store_errors(self.find_uri(name, layer)):
            commits = self.open_delta(name, layer).history(limit=_COMMITS_SEARCHED)
        written = [commit["timestamp"] for commit in commits if commit.get("operation") == "WRITE" and LEASE_METADATA not in commit]
        return datetime.fromtimestamp(written[0] / 1_000, UTC) if written else None

    def read_table_id(self, name: str) -> str:
        """The id of a bronze table; a table that is created again has another one."""
        return str(self.open_delta(name).metadata().id)

    def compact(self, now: datetime, *, vacuum_retention_hours: int | None = None) -> list[Compaction]:
        """Compact the past hours of every bronze table; with a retention, also delete unused files that are older.

        A table that another process compacts at the same time is skipped.
        """
        return [self._compact(layout, now, vacuum_retention_hours) for layout in LAYOUTS.values()]

    def delete_rows_before(self, before: datetime) -> dict[str, int]:
        """Delete the bronze rows that happened and arrived before that moment, by whole hours, days or months; returns counts by table.

        A table that another process changes in the same partitions is left to the next round.
        """
        deleted = {}
        for layout in LAYOUTS.values():
            with suppress(CommitConflict), share_lock(self._lock):
                if count := delete_old_rows(self.open_delta(layout.name), layout, self.storage_options, before):
                    deleted[layout.name] = count
        return deleted

    def _check_store(self) -> None:
        """Check once, before the first table or commit, that the store never overwrites an object that must be new."""
        if not self._is_checked:
            with translate_store_errors(self._root):
                check_create_only(self._root, self.storage_options)
            self._is_checked = True

    def _compact(self, layout: TableLayout, now: datetime, retention_hours: int | None) -> Compaction:
        try:
            with share_lock(self._lock):
                done = compact_table(self.open_delta(layout.name), layout, now)
        except CommitConflict:
            return Compaction(layout.name, 0, 0)
        deleted = 0 if retention_hours is None else vacuum_table(self.open_delta(layout.name), retention_hours)
        return Compaction(done.table, done.files_before, done.files_after, deleted)

    def open_delta(self, name: str, layer: str = "bronze") -> DeltaTable:
        """The handle of a table. Raises Unavailable if there is none."""
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
        is_new = create_table(
            uri,
            layout.full_schema,
            partition_by=layout.partition_by,
            properties={**TABLE_PROPERTIES, "delta.dataSkippingStatsColumns": ",".join(layout.stats_columns)},
            storage_options=self.storage_options,
            check_store=self._check_store,
        )
        if is_new:
            return
        table = DeltaTable(uri, storage_options=self.storage_options)
        known = {field.name for field in table.schema().fields}
        missing = [Field.from_arrow(field) for field in layout.full_schema if field.name not in known]
        if missing:
            table.alter.add_columns(missing)
