"""Incremental reads: what was committed to a bronze table since the last read, without opening the files that were there before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import PyFileSystem

from soundlake.lake.layout import TableLayout
from soundlake.lake.object_store import open_filesystem
from soundlake.lake.store_errors import translate_store_errors

_BATCH = "_batch"


class NewRowsReader:
    """Reads each row of one bronze table once, in the order of commits. Not for several threads at once.

    `_batch` rises with every commit and stays with its rows when files are compacted, so rows above the last batch read are the new ones.
    Files are chosen by the statistics in the log: a pyarrow dataset of all files, as `DeltaBronzeTable.read` opens it, costs 0.3 ms of CPU
    a file (0.24 s for 774 files), this one 0.3 ms a new file and 10 ms for the log.
    """

    def __init__(self, uri: str, layout: TableLayout, open_handle: Callable[[], DeltaTable], storage_options: Mapping[str, str]) -> None:
        self._uri, self._layout, self._open_handle, self._storage_options = uri, layout, open_handle, dict(storage_options)
        self._table_id, self._last_batch = "", 0

    def read(self, columns: list[str], rows_where: pc.Expression, since: datetime) -> pa.Table:
        """The new rows at or after that time by the table's time column that the filter accepts. Raises Unavailable.

        A row that the filter rejects, or that is older, is not returned by a later read either. A table that was recreated is read from its
        first row.
        """
        from pyarrow import dataset as ds  # noqa: PLC0415  # it imports pandas where that is installed: 0.35 s of every command

        handle = self._open_handle()
        with translate_store_errors(self._uri):
            self._restart_if_recreated(handle)
            paths, newest = self._choose_files(handle, since)
            schema = self._layout.schema
            if not paths:
                return pa.schema([schema.field(name) for name in columns]).empty_table()
            files = open_filesystem(self._uri, self._storage_options) or PyFileSystem(DeltaStorageHandler(self._uri, self._storage_options))
            is_new = (pc.field(_BATCH) > self._last_batch) & (pc.field(self._layout.time_column) >= pa.scalar(since))
            dataset = ds.dataset(paths, schema=schema, filesystem=files, format="parquet")
            rows = dataset.to_table(columns=columns, filter=is_new & rows_where)
        self._last_batch = newest
        return rows

    def _restart_if_recreated(self, handle: DeltaTable) -> None:
        table_id = str(handle.metadata().id)
        if table_id != self._table_id:
            self._table_id, self._last_batch = table_id, 0

    def _choose_files(self, handle: DeltaTable, since: datetime) -> tuple[list[str], int]:
        """The paths of files that may hold new rows, in the order of their batches, and the highest batch of all files."""
        files = pa.table(handle.get_add_actions(flatten=True))
        if not len(files):
            return [], self._last_batch
        batches, times = files[f"max.{_BATCH}"], files[f"max.{self._layout.time_column}"]
        chosen = pc.and_(pc.greater(batches, self._last_batch), pc.greater_equal(times.cast(pa.timestamp("us", "UTC")), pa.scalar(since)))
        newest = max(self._last_batch, pc.max(batches).as_py())
        return files.filter(chosen).sort_by(f"min.{_BATCH}")["path"].to_pylist(), newest
