"""Tables that another engine writes: created once, and the notes of their commits read however much of the log is gone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from soundlake.errors import Unavailable
from soundlake.lake.table_log import create_table, read_commit_notes

SCHEMA = pa.schema([("number", pa.int64()), ("year", pa.string())])


def create(uri: Path, schema: pa.Schema = SCHEMA, properties: dict[str, str] | None = None) -> list[str]:
    """Create the table; whether the store was checked, and whether there is a new table."""
    done: list[str] = []
    check_store, options = partial(done.append, "checked"), properties or {}
    is_new = create_table(str(uri), schema, partition_by=("year",), properties=options, storage_options={}, check_store=check_store)
    return [*done, "created"] if is_new else done


def commit(uri: Path, note: str | None) -> None:
    """One row, in a commit with that note."""
    rows = pa.Table.from_pylist([{"number": 1, "year": "2026"}], schema=SCHEMA)
    write_deltalake(uri, rows, mode="append", commit_properties=CommitProperties(custom_metadata={"userMetadata": note} if note else None))


def test_a_table_is_created_once_and_an_existing_one_stays_as_it_is(tmp_path):
    assert create(tmp_path, properties={"delta.checkpointInterval": "50"}) == ["checked", "created"]
    other = pa.schema([("year", pa.string())])
    assert create(tmp_path, other, {"delta.checkpointInterval": "9"}) == []
    table = DeltaTable(tmp_path)
    assert [field.name for field in table.schema().fields] == ["number", "year"]
    assert table.metadata().configuration == {"delta.checkpointInterval": "50"}
    assert (table.metadata().partition_columns, table.version()) == (["year"], 0)


def test_a_store_that_fails_its_check_gets_no_table(tmp_path):
    def fail() -> None:
        raise Unavailable("no", next_step="none")

    with pytest.raises(Unavailable, match="no"):
        create_table(str(tmp_path), SCHEMA, partition_by=(), properties={}, storage_options={}, check_store=fail)
    assert list(tmp_path.iterdir()) == []


def test_the_notes_of_the_newest_commits_come_newest_first(tmp_path):
    create(tmp_path)
    for note in ("a/0", "a/1", None, "b/0"):
        commit(tmp_path, note)
    assert read_commit_notes(str(tmp_path), {}, limit=100) == ["b/0", "a/1", "a/0"]
    assert read_commit_notes(str(tmp_path), {}, limit=3) == ["b/0", "a/1"]


def test_the_notes_are_read_from_a_log_whose_older_commits_are_deleted(tmp_path):
    create(tmp_path)
    for number in range(6):
        commit(tmp_path, f"a/{number}")
    DeltaTable(tmp_path).create_checkpoint()
    for version in range(5):
        (tmp_path / "_delta_log" / f"{version:020}.json").unlink()
    assert read_commit_notes(str(tmp_path), {}, limit=100) == ["a/5", "a/4"]
    commit(tmp_path, "a/6")
    assert read_commit_notes(str(tmp_path), {}, limit=100) == ["a/6", "a/5", "a/4"]


def test_a_missing_table_is_an_error_that_names_it(tmp_path):
    with pytest.raises(Unavailable, match=str(tmp_path)):
        read_commit_notes(str(tmp_path / "none"), {}, limit=1)
