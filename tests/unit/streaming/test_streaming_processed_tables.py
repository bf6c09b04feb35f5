"""The processed tables as they are before any batch, and which batch is their newest; all without a session."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from soundlake.errors import DataError
from soundlake.streaming.deployment import StreamLocations
from soundlake.streaming.processed_tables import TABLES, Batch, ensure_tables, holds_batch, read_newest_batch
from soundlake.streaming.startup_checks import check_table_owner


@pytest.fixture
def locations(tmp_path) -> StreamLocations:
    """Tables without a batch."""
    found = StreamLocations({}, f"file://{tmp_path}/processed", f"file://{tmp_path}/silver", f"file://{tmp_path}/checkpoints")
    ensure_tables(found)
    return found


def commit(locations: StreamLocations, name: str, note: str | None) -> None:
    """A commit to a table, with that note."""
    rows = pa.Table.from_pylist([{"year": "2026", "month": "11"}], schema=TABLES[name].schema)
    noted = CommitProperties(custom_metadata={"userMetadata": note} if note else None)
    write_deltalake(locations.table(name).removeprefix("file://"), rows, mode="append", commit_properties=noted)


def test_every_table_is_made_once_with_its_columns_by_month(locations, tmp_path):
    ensure_tables(locations)
    for name, table in TABLES.items():
        made = DeltaTable(tmp_path / "processed" / name)
        assert [field.name for field in made.schema().fields] == table.columns
        assert (made.version(), made.metadata().partition_columns) == (0, ["year", "month"])
        assert made.metadata().configuration["delta.dataSkippingStatsColumns"] == ",".join(table.stats_columns)


def test_the_newest_batch_is_the_last_commit_that_names_one(locations):
    assert read_newest_batch(locations, "plays") is None
    for note in ("stream/a/8", "stream/a/9", None, "compacted by hand"):
        commit(locations, "plays", note)
    assert read_newest_batch(locations, "plays") == Batch("a", 9)
    assert holds_batch(locations, "plays", Batch("a", 9))
    assert not holds_batch(locations, "plays", Batch("b", 9))


def test_the_newest_batch_is_known_after_checkpoint_and_deletion_of_the_older_commits(locations, tmp_path):
    for number in range(4):
        commit(locations, "plays", f"stream/a/{number}")
    DeltaTable(tmp_path / "processed" / "plays").create_checkpoint()
    for path in sorted(Path(tmp_path / "processed" / "plays" / "_delta_log").glob("*.json"))[:-1]:
        path.unlink()
    assert read_newest_batch(locations, "plays") == Batch("a", 3)


def test_tables_of_another_checkpoint_are_refused_and_named(locations):
    check_table_owner(locations, None)
    commit(locations, "plays", "stream/a/0")
    check_table_owner(locations, "a")
    with pytest.raises(DataError, match="wrote plays; the events"):
        check_table_owner(locations, "b")
