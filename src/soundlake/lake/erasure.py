"""Erase listeners from the tables of a lake: their rows, every file that held them, and every version that still names such a file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import TableNotFoundError
from tenacity import Retrying

from soundlake.contract import REJECTED_TABLE, TOPICS
from soundlake.contract.mentions import OwnerSearch
from soundlake.lake.compaction import vacuum_table
from soundlake.lake.data_files import write_files
from soundlake.lake.deleted_rows import SOURCE_COLUMNS, DeletedBy, count_deleted_rows
from soundlake.lake.forgotten import Scope
from soundlake.lake.lake import Lake
from soundlake.lake.layout import LAYOUTS, TableLayout
from soundlake.lake.object_store import open_filesystem, open_store
from soundlake.lake.protocol import CommitConflict, make_position_app_id
from soundlake.lake.store_errors import translate_store_errors
from soundlake.retries import retry_policy

BRONZE_TABLES = (*(topic.table for topic in TOPICS), REJECTED_TABLE)
PROCESSED = "processed"
PROCESSED_TABLES = ("plays", "skips", "likes", "playlists", "now_playing", "quarantine")
_COPIES = ("silver", "gold")
_OFFSETS_PER_PREDICATE = 2_000
_ALONE_SECONDS = 1.0
"""How long the writers wait at most, plus one commit. Each wait for them costs up to their longest write, a compaction's of seconds."""


@dataclass(frozen=True)
class Person:
    """The listeners to erase, and what of them: a scope's sources, or all."""

    user_ids: frozenset[str]
    scope: Scope

    @property
    def search(self) -> OwnerSearch:
        """Finds their records in a log and among rejected ones."""
        return OwnerSearch(self.user_ids, self.scope.sources)


class LakeErasure:
    """Erases listeners from the tables of a lake. Every method can be repeated after a crash, and finds the rest then."""

    def __init__(self, lake: Lake, person: Person) -> None:
        self._lake, self._person, self._search = lake, person, person.search

    def count(self, name: str, layer: str = "bronze") -> int:
        """The rows of the listeners in a table; 0 if there is no such table."""
        table = self._find(name, layer)
        return 0 if table is None else len(self._read_theirs(table))

    def erase(self, name: str, layer: str = "bronze") -> int:
        """Delete the rows of the listeners from a table, count them in the same commits, and delete every file that no version needs.

        The writers' lock is held alone for each commit, and while files are deleted, among them those that no commit names yet. Returns
        the number of rows. Raises Unavailable, or CommitConflict if a writer on another machine changes the same partitions every time.
        """
        if self._find(name, layer) is None:
            return 0
        policy = retry_policy(first_wait_seconds=0.1, longest_wait_seconds=2, stop=10, on=CommitConflict)
        deleted = self._rewrite_partitions(name, policy) if layer == "bronze" else policy(self._delete_rows, name, layer)
        with self._lake.write_alone():
            vacuum_table(self._lake.open_delta(name, layer), 0)
        return deleted

    def delete_copies(self) -> int:
        """Delete the copies of silver and gold with their logs, whose statistics name listeners; the next build writes them again.

        Returns the number of objects.
        """
        deleted = 0
        for layer in _COPIES:
            with translate_store_errors(self._lake.root):
                store = open_store(self._lake.root, self._lake.storage_options)
                for chunk in obstore.list(store, prefix=layer):
                    paths = [str(found["path"]) for found in chunk]
                    obstore.delete(store, paths)
                    deleted += len(paths)
        return deleted

    def _find(self, name: str, layer: str) -> DeltaTable | None:
        uri = self._lake.find_uri(name, layer)
        with translate_store_errors(uri):
            try:
                return DeltaTable(uri, storage_options=self._lake.storage_options)
            except TableNotFoundError:
                return None

    def _read_theirs(self, table: DeltaTable) -> pa.Table:
        """The coordinates and partitions of the listeners' rows."""
        wanted = [*SOURCE_COLUMNS, "_offset", "user_id", "source", "key", "value", *table.metadata().partition_columns]
        with translate_store_errors(table.table_uri):
            data = self._open_dataset(table)
            columns = [name for name in wanted if name in data.schema.names]
            found = [pa.table(batch) for batch in data.to_batches(columns=columns) if len(batch)]
        schema = pa.schema([data.schema.field(name) for name in columns])
        return pa.concat_tables([schema.empty_table(), *(rows.filter(pa.array(self._find_theirs(rows))) for rows in found)])

    def _open_dataset(self, table: DeltaTable, within: list[tuple[str, str, str]] | None = None) -> pads.Dataset:
        """The files of these partitions; opening all of them costs 0.3 ms a file."""
        files = open_filesystem(_find_place(table), self._lake.storage_options)
        return table.to_pyarrow_dataset(file_pruning_predicate=within, filesystem=files)

    def _find_theirs(self, rows: pa.Table) -> np.ndarray:
        """A mask of the listeners' rows. Rejected records are searched, whatever their form."""
        if "value" in rows.column_names:
            return self._search.find(rows["key"].combine_chunks(), rows["value"].combine_chunks())
        theirs = pc.is_in(rows["user_id"], pa.array(sorted(self._person.user_ids), pa.string()))
        if self._person.scope.sources is not None:
            theirs = pc.and_(theirs, pc.is_in(rows["source"], pa.array(self._person.scope.sources, pa.string())))
        mask: np.ndarray = theirs.to_numpy()
        return mask

    def _rewrite_partitions(self, name: str, policy: Retrying) -> int:
        """Write the partitions of a bronze table that hold the listeners again, one commit a day, of history a year; returns the rows gone.

        delta-rs's own delete writes files whose text Arrow reads as string_view: filters on it fail, or find nothing (1.6.6, tried).
        """
        table, layout = self._lake.open_delta(name), LAYOUTS[name]
        cells = self._read_theirs(table).group_by(list(layout.partition_by)).aggregate([]).to_pylist()
        groups: dict[tuple[str, ...], list[str]] = {}
        for cell in sorted(tuple(cell[part] for part in layout.partition_by) for cell in cells):
            groups.setdefault(cell[:-1], []).append(cell[-1])
        deleted, left = 0, list(groups.items())
        while left:
            with self._lake.write_alone():
                until = time.monotonic() + _ALONE_SECONDS
                while left and time.monotonic() < until:
                    deleted += policy(self._rewrite, layout, *left.pop())
        return deleted

    def _rewrite(self, layout: TableLayout, outer: tuple[str, ...], inner: list[str]) -> int:
        last = layout.partition_by[-1]
        within = [(part, "=", value) for part, value in zip(layout.partition_by, outer, strict=False)]
        with translate_store_errors(self._lake.find_uri(layout.name)):
            table = self._lake.open_delta(layout.name)
            chosen = _all_of([*(pc.field(part) == value for part, _, value in within), pc.field(last).isin(inner)])
            rows = self._open_dataset(table, within).to_table(filter=chosen)
            is_theirs = self._find_theirs(rows)
            theirs, others = rows.filter(pa.array(is_theirs)), rows.filter(pa.array(~is_theirs))
            counted = self._leave_out_pending(theirs) if layout.name == REJECTED_TABLE else theirs
            actions = write_files(open_store(_find_place(table), self._lake.storage_options), others.select(layout.schema.names), layout, 0)
            table.create_write_transaction(
                actions=[*actions],
                mode="overwrite",
                schema=table.schema(),
                partition_by=list(layout.partition_by),
                partition_filters=[*within, (last, "in", inner)],
                commit_properties=CommitProperties(app_transactions=count_deleted_rows(table, counted, DeletedBy.ERASURE)),
            )
        return len(theirs)

    def _delete_rows(self, name: str, layer: str) -> int:
        """Delete from a table that Spark wrote: its partitions are months, too large to be written again here."""
        table = self._lake.open_delta(name, layer)
        rows = self._read_theirs(table)
        if not len(rows):
            return 0
        predicates = _name_offsets(rows) if "value" in rows.column_names else [self._name_listeners()]
        with translate_store_errors(table.table_uri):
            for predicate in predicates:
                with self._lake.write_alone():
                    table.update_incremental()
                    table.delete(predicate)
        return len(rows)

    def _leave_out_pending(self, rows: pa.Table) -> pa.Table:
        """Without the rows above the positions of their topics: the sink meets these records again, and counts them itself."""
        tables = {topic.name: topic.table for topic in TOPICS}
        kept = []
        for source in rows.group_by(["_broker", "_topic", "_partition"]).aggregate([]).to_pylist():
            app_id = make_position_app_id(source["_broker"], source["_topic"], source["_partition"])
            position = self._lake.open_table(tables[source["_topic"]]).read_position(app_id)
            of_source = [pc.field(name) == value for name, value in source.items()]
            kept.append(rows.filter(_all_of([*of_source, pc.field("_offset") <= position])))
        return pa.concat_tables(kept)

    def _name_listeners(self) -> str:
        """The predicate for their rows. A table's log keeps it for a while, so it has hashes and no ids."""
        hashes = self._lake.tombstones.hash(self._person.user_ids)
        salt = self._lake.tombstones.read_salt()
        predicate = f"encode(sha256(concat('{salt}', user_id)), 'hex') in ({_join(sorted(hashes.values()))})"
        return predicate if self._person.scope.sources is None else f"{predicate} and source in ({_join(self._person.scope.sources)})"


def _name_offsets(rows: pa.Table) -> Iterator[str]:
    """Predicates for rejected records, which have no listener's column: their coordinates."""
    for source in rows.group_by(["_topic", "_partition"]).aggregate([("_offset", "list")]).to_pylist():
        offsets = source.pop("_offset_list")
        terms = [f"{name} = {value!r}" for name, value in source.items()]
        for start in range(0, len(offsets), _OFFSETS_PER_PREDICATE):
            listed = ", ".join(map(str, offsets[start : start + _OFFSETS_PER_PREDICATE]))
            yield " and ".join([*terms, f"_offset in ({listed})"])


def _find_place(table: DeltaTable) -> str:
    """The address of a table as our clients take it: a path, or s3://…."""
    return table.table_uri.removeprefix("file://").rstrip("/")


def _all_of(conditions: Sequence[pc.Expression]) -> pc.Expression:
    return reduce(lambda left, right: left & right, conditions)


def _join(texts: Sequence[str]) -> str:
    return ", ".join(f"'{text}'" for text in texts)
