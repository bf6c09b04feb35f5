"""Each row of a bronze table is read once: after appends, after compaction, and from a recreated table again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from soundlake.contract import BRONZE_SCHEMA
from soundlake.errors import Unavailable
from soundlake.lake import Lake
from soundlake.settings import Address

ROWS = pa.schema([field for field in BRONZE_SCHEMA if field.name != "_batch"])
MORNING = datetime(2024, 2, 29, 9, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ANY = pc.scalar(True)  # a filter that accepts every row


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(Address(f"file://{tmp_path}", "file", path=tmp_path))
    lake.ensure_tables()
    return lake


def append_plays(lake: Lake, *names: str, played_at: datetime = MORNING) -> None:
    rows = [{"event_id": name, "played_at": played_at, "_partition": 0, "_offset": 0} for name in names]
    lake.open_table("plays").append(pa.Table.from_pylist(rows, ROWS), [])


def read_names(reader, rows_where: pc.Expression = ANY, since: datetime = LONG_AGO) -> list[str]:
    return reader.read(["event_id"], rows_where, since)["event_id"].to_pylist()


def test_an_empty_table_has_no_new_rows(lake):
    rows = lake.open_new_rows("plays").read(["event_id", "played_at"], ANY, LONG_AGO)
    assert rows.schema.names == ["event_id", "played_at"]
    assert len(rows) == 0


def test_each_commit_is_read_once_in_order(lake):
    reader = lake.open_new_rows("plays")
    append_plays(lake, "a", "b")
    append_plays(lake, "c", played_at=MORNING.replace(hour=3))
    assert read_names(reader) == ["a", "b", "c"]
    assert read_names(reader) == []
    append_plays(lake, "d")
    assert read_names(reader) == ["d"]


def test_compacted_rows_are_not_read_again_and_new_rows_among_them_are(lake):
    reader = lake.open_new_rows("plays")
    append_plays(lake, "a")
    append_plays(lake, "b")
    assert read_names(reader) == ["a", "b"]
    append_plays(lake, "c")
    plays = next(done for done in lake.compact(datetime(2024, 3, 1, tzinfo=UTC)) if done.table == "plays")
    assert (plays.files_before, plays.files_after) == (3, 1)
    assert read_names(reader) == ["c"]


def test_older_and_rejected_rows_are_left_out(lake):
    reader = lake.open_new_rows("plays")
    append_plays(lake, "old", played_at=MORNING.replace(hour=8, minute=59))
    append_plays(lake, "kept", "rejected")
    assert read_names(reader, pc.field("event_id") != "rejected", MORNING) == ["kept"]
    assert read_names(reader) == []


def test_files_before_the_last_read_are_not_opened(lake, tmp_path):
    reader = lake.open_new_rows("plays")
    append_plays(lake, "a")
    read_names(reader)
    for path in (tmp_path / "bronze" / "plays").rglob("part-*.parquet"):
        path.unlink()
    append_plays(lake, "b")
    assert read_names(reader) == ["b"]


def test_a_recreated_table_is_read_from_its_first_row(lake, tmp_path):
    reader = lake.open_new_rows("plays")
    append_plays(lake, "a")
    append_plays(lake, "b")
    read_names(reader)
    shutil.rmtree(tmp_path / "bronze" / "plays")
    lake.ensure_tables()
    append_plays(lake, "c")
    assert read_names(reader) == ["c"]


def test_a_missing_table_is_unavailable(tmp_path):
    reader = Lake(Address(f"file://{tmp_path}", "file", path=tmp_path)).open_new_rows("plays")
    with pytest.raises(Unavailable, match="soundlake sink"):
        read_names(reader)
