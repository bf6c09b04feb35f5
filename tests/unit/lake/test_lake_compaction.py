"""Compaction: hours that have ended become one file each, without changing a row, beside writers."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from soundlake.contract import BRONZE_SCHEMA
from soundlake.errors import PositionMoved
from soundlake.lake import LAYOUTS, NO_POSITION, Lake, PositionMove, make_position_app_id
from soundlake.lake.compaction import plan_compaction
from soundlake.settings import Address

APP_ID = make_position_app_id("log", "user_plays", 0)
OTHER_APP_ID = make_position_app_id("log", "user_plays", 1)
ROWS = pa.schema([field for field in BRONZE_SCHEMA if field.name != "_batch"])


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(Address(f"file://{tmp_path}", "file", path=tmp_path))
    lake.ensure_tables()
    return lake


def append(lake: Lake, offset: int, *hours: int) -> None:
    rows = [{"event_id": f"{offset}-{hour}", "played_at": datetime(2024, 2, 29, hour, 30, tzinfo=UTC)} for hour in hours]
    rows = [{**row, "_partition": 0, "_offset": offset} for row in rows]
    lake.open_table("plays").append(pa.Table.from_pylist(rows, schema=ROWS), [PositionMove(APP_ID, offset - 1, offset)])


def read_ids(lake: Lake) -> list[tuple[str, int]]:
    return sorted((row["event_id"], row["_batch"]) for row in lake.read("plays", ["event_id", "_batch"]).to_pylist())


def test_only_hours_that_have_ended_and_have_several_files_are_rewritten(lake):
    for offset in range(3):
        append(lake, offset, 9, 10, 11)
    append(lake, 3, 8)
    before = read_ids(lake)
    plays = lake.compact(datetime(2024, 2, 29, 11, 15, tzinfo=UTC))[0]
    assert (plays.table, plays.files_before, plays.files_after) == ("plays", 6, 2)
    assert read_ids(lake) == before
    assert len(DeltaTable(lake.find_uri("plays")).file_uris()) == 1 + 1 + 1 + 3


def test_an_hour_that_has_just_ended_is_not_compacted(lake):
    append(lake, 0, 10)
    append(lake, 1, 10)
    assert lake.compact(datetime(2024, 2, 29, 11, 5, tzinfo=UTC))[0].files_before == 0
    assert lake.compact(datetime(2024, 2, 29, 11, 11, tzinfo=UTC))[0].files_before == 2


def test_positions_survive_compaction_and_an_older_handle_continues(lake):
    table = lake.open_table("plays")
    append(lake, 0, 10)
    append(lake, 1, 10)
    table.refresh()
    lake.compact(datetime(2024, 3, 1, tzinfo=UTC))
    assert table.append(ROWS.empty_table(), [PositionMove(APP_ID, 1, 2)]) == 3
    assert lake.open_table("plays").read_position(APP_ID) == 2


def test_a_vacuum_keeps_young_unused_files_and_deletes_old_ones(lake):
    append(lake, 0, 10)
    young, old = Path(lake.find_uri("plays")) / "young.parquet", Path(lake.find_uri("plays")) / "year=2024" / "old.parquet"
    for orphan in (young, old):
        orphan.write_bytes(b"of a dead batch")
    two_days_ago = datetime.now(UTC).timestamp() - 48 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    plays = lake.compact(datetime(2024, 3, 1, tzinfo=UTC), vacuum_retention_hours=24)[0]
    assert plays.files_deleted == 1
    assert young.exists()
    assert not old.exists()
    assert len(read_ids(lake)) == 1
    two_hours_ago = datetime.now(UTC).timestamp() - 2 * 3600
    os.utime(young, (two_hours_ago, two_hours_ago))
    assert lake.compact(datetime(2024, 3, 1, tzinfo=UTC), vacuum_retention_hours=1)[0].files_deleted == 1  # less than the table's own


def test_compaction_deletes_expired_log_files(lake):
    table = lake.open_table("plays")
    for offset in range(101):
        table.append(ROWS.empty_table(), [PositionMove(APP_ID, offset - 1, offset)])
    log = Path(lake.find_uri("plays")) / "_delta_log"
    for file in log.iterdir():
        os.utime(file, (0, 0))
    lake.compact(datetime.now(UTC))
    assert not (log / f"{2:020}.json").exists()
    assert (log / f"{101:020}.json").exists()


def test_one_filter_covers_the_hours_of_a_day_and_the_months_of_a_year():
    counts = {("2023", "12"): 2, ("2024", "01"): 3, ("2024", "02"): 1, ("2024", "03"): 9}
    assert plan_compaction(counts, LAYOUTS["history"], datetime(2024, 3, 31, tzinfo=UTC)) == [
        [("year", "=", "2023"), ("month", "in", ["12"])],
        [("year", "=", "2024"), ("month", "in", ["01"])],
    ]


def test_the_current_hour_is_compacted_only_with_very_many_files():
    now = datetime(2024, 2, 29, 11, 30, tzinfo=UTC)
    counts = {("2024", "02", "29", "11"): 199, ("2024", "02", "29", "12"): 200}
    expected = [("year", "=", "2024"), ("month", "=", "02"), ("day", "=", "29"), ("hour", "in", ["12"])]
    assert plan_compaction(counts, LAYOUTS["plays"], now) == [expected]


def test_a_table_that_has_only_positions_has_no_rows(lake):
    lake.open_table("plays").append(ROWS.empty_table(), [PositionMove(APP_ID, NO_POSITION, 0)])
    assert (lake.read_last_batch("plays"), lake.has_rows("plays")) == (1, False)
    append(lake, 1, 10)
    assert lake.has_rows("plays")


def test_positions_are_kept_in_checkpoints(lake):
    table = lake.open_table("plays")
    for offset in range(105):
        table.append(ROWS.empty_table(), [PositionMove(APP_ID, offset - 1 if offset else NO_POSITION, offset)])
    assert list((Path(lake.find_uri("plays")) / "_delta_log").glob("*.checkpoint.parquet"))
    assert lake.open_table("plays").read_position(APP_ID) == 104
    assert lake.read_last_batch("plays") == 105


def test_a_handle_older_than_the_log_is_renewed_and_still_notices_conflicts(lake):
    stale, overtaken, busy = (lake.open_table("plays") for _ in range(3))
    assert stale.read_position(OTHER_APP_ID) == overtaken.read_position(APP_ID) == NO_POSITION
    for offset in range(105):
        busy.append(ROWS.empty_table(), [PositionMove(APP_ID, offset - 1 if offset else NO_POSITION, offset)])
    log = Path(lake.find_uri("plays")) / "_delta_log"
    for file in log.iterdir():
        os.utime(file, (0, 0))
    lake.compact(datetime.now(UTC))
    assert not (log / f"{2:020}.json").exists()
    with pytest.raises(PositionMoved):
        overtaken.append(ROWS.empty_table(), [PositionMove(APP_ID, NO_POSITION, 0)])
    assert stale.append(ROWS.empty_table(), [PositionMove(OTHER_APP_ID, NO_POSITION, 7)]) == 106
    assert (lake.open_table("plays").read_position(APP_ID), lake.open_table("plays").read_position(OTHER_APP_ID)) == (104, 7)
