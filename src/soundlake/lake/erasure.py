"""Erase listeners from the tables of a lake: their rows, every file that held them, and every version that still names such a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import obstore
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import TableNotFoundError

from soundlake.contract import REJECTED_TABLE, TOPICS
from soundlake.contract.mentions import OwnerSearch
from soundlake.lake.compaction import vacuum_table
from soundlake.lake.deleted_rows import SOURCE_COLUMNS, DeletedBy, count_deleted_rows
from soundlake.lake.forgotten import Scope
from soundlake.lake.lake import Lake
from soundlake.lake.object_store import open_filesystem, open_store
from soundlake.lake.protocol import CommitConflict, make_position_app_id
from soundlake.lake.store_errors import translate_store_errors
from soundlake.retries import retry_policy

BRONZE_TABLES = (*(topic.table for topic in TOPICS), REJECTED_TABLE)
PROCESSED = "processed"
PROCESSED_TABLES = ("plays", "skips", "likes", "playlists", "now_playing", "quarantine")
_COPIES = ("silver", "gold")
_COORDINATES = ["_topic", "_partition", "_offset"]
_OFFSETS_PER_PREDICATE = 2_000


@dataclass(frozen=True)
class Person:
    """The listeners to erase, and what of them: a scope's sources, or all."""

    user_ids: frozenset[str]
    scope: Scope

    @property
    def search(self) -> OwnerSearch:
        """Finds their records in a log and among rejected ones."""
        return OwnerSearch(self.user_ids, self.scope.sources)

    def covers_rows(self) -> pc.Expression:
        """Their rows in a table of events."""
        theirs = pc.field("user_id").isin(pa.array(sorted(self.user_ids), pa.string()))
        return theirs if self.scope.sources is None else theirs & pc.field("source").isin(pa.array(self.scope.sources, pa.string()))


class LakeErasure:
    """Erases listeners from the tables of a lake. Every method can be repeated after a crash, and finds the rest then."""

    def __init__(self, lake: Lake, person: Person) -> None:
        self._lake, self._person, self._search = lake, person, person.search

    def count(self, name: str, layer: str = "bronze") -> int:
        """The rows of the listeners in a table; 0 if there is no such table."""
        table = self._find(name, layer)
        return 0 if table is None else len(self._read_theirs(table))

    def erase(self, name: str, layer: str = "bronze") -> int:
        """Delete the rows of the listeners from a table, count them in the same commit, and delete every file that no version needs.

        The writers' lock is held alone meanwhile, since a file that no commit names yet is deleted too. Raises Unavailable, or
        CommitConflict if a writer on another machine changes the same files again and again.
        """
        with self._lake.write_alone():
            if self._find(name, layer) is None:
                return 0
            policy = retry_policy(first_wait_seconds=0.1, longest_wait_seconds=2, stop=10, on=CommitConflict)
            deleted = policy(self._delete_rows, name, layer)
            table = self._lake.open_delta(name, layer)
            vacuum_table(table, 0)
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
        """The coordinates of the listeners' rows; rejected records are searched, whatever their form."""
        columns = [*(["_broker"] if "_broker" in _list_columns(table) else []), *_COORDINATES]
        with translate_store_errors(table.table_uri):
            data = table.to_pyarrow_dataset(filesystem=open_filesystem(table.table_uri, self._lake.storage_options))
            if "value" not in data.schema.names:
                return data.to_table(columns=columns, filter=self._person.covers_rows())
            found = [pa.table(batch).filter(pa.array(self._search.find(batch["key"], batch["value"])))
                     for batch in data.to_batches(columns=[*columns, "key", "value"]) if len(batch)]  # fmt: skip
        schema = pa.schema([data.schema.field(name) for name in columns])
        return pa.concat_tables([schema.empty_table(), *(rows.select(columns) for rows in found)])

    def _delete_rows(self, name: str, layer: str) -> int:
        table = self._lake.open_delta(name, layer)
        rows = self._read_theirs(table)
        if not len(rows):
            return 0
        parts = _name_offsets(rows) if "value" in _list_columns(table) else [(rows, self._name_listeners())]
        with translate_store_errors(table.table_uri):
            for part, predicate in parts:
                counted = self._leave_out_pending(part) if name == REJECTED_TABLE else part
                transactions = count_deleted_rows(table, counted, DeletedBy.ERASURE) if "_broker" in rows.column_names else []
                table.delete(predicate, commit_properties=CommitProperties(app_transactions=transactions))
                table.update_incremental()
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


def _list_columns(table: DeltaTable) -> set[str]:
    return {field.name for field in table.schema().fields}


def _name_offsets(rows: pa.Table) -> Iterator[tuple[pa.Table, str]]:
    """Rejected records in parts, each with its predicate: they have no listener's column, so it names their coordinates."""
    names = [name for name in SOURCE_COLUMNS if name in rows.column_names]
    for source in rows.group_by(names).aggregate([]).to_pylist():
        of_source = rows.filter(_all_of([pc.field(name) == value for name, value in source.items()]))
        for start in range(0, len(of_source), _OFFSETS_PER_PREDICATE):
            part = of_source.slice(start, _OFFSETS_PER_PREDICATE)
            terms = [f"{name} = {value!r}" for name, value in source.items()]
            yield part, " and ".join([*terms, f"_offset in ({', '.join(map(str, part['_offset'].to_pylist()))})"])


def _all_of(conditions: Sequence[pc.Expression]) -> pc.Expression:
    return reduce(lambda left, right: left & right, conditions)


def _join(texts: Sequence[str]) -> str:
    return ", ".join(f"'{text}'" for text in texts)
