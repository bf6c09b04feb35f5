"""Bronze tables: positions, races, partitions of time, what an address refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from soundlake.contract import BRONZE_SCHEMA
from soundlake.errors import PositionMoved, Unavailable
from soundlake.lake import LAYOUTS, NO_POSITION, Lake, PositionMove, CommitConflict, make_position_app_id
from soundlake.settings import Address

ROWS = pa.schema([field for field in BRONZE_SCHEMA if field.name != "_batch"])
REJECTED_ROWS = pa.schema([field for field in LAYOUTS["rejected"].schema if field.name != "_batch"])
FIRST, SECOND = make_position_app_id("log", "user_plays", 0), make_position_app_id("log", "user_plays", 1)


def open_lake(folder: Path) -> Lake:
    return Lake(Address(f"file://{folder}", "file", path=folder))


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = open_lake(tmp_path / "my lake")
    lake.ensure_tables()
    return lake


def plays(*moments: datetime, title: str = "Song", first_offset: int = 0) -> pa.Table:
    rows = [
        {"event_id": f"e{n}", "played_at": moment, "track_name": title, "_partition": 0, "_offset": first_offset + n}
        for n, moment in enumerate(moments)
    ]
    return pa.Table.from_pylist(rows, schema=ROWS)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def folders(lake: Lake, name: str) -> set[str]:
    root = Path(lake.find_uri(name))
    return {str(path.parent.relative_to(root)) for path in root.rglob("part-*.parquet")}


def test_rows_and_positions_become_visible_together(lake):
    batch = lake.open_table("plays").append(plays(at("2026-11-22T16:00:00")), [PositionMove(FIRST, NO_POSITION, 0)])
    assert (batch, lake.read_last_batch("plays"), lake.open_table("plays").read_position(FIRST)) == (1, 1, 0)
    assert lake.read("plays", ["event_id", "_batch"]).to_pylist() == [{"event_id": "e0", "_batch": 1}]


def test_a_batch_without_rows_moves_the_position_and_writes_no_file(lake):
    table = lake.open_table("plays")
    assert table.append(ROWS.empty_table(), [PositionMove(FIRST, NO_POSITION, 41)]) == 1
    assert lake.open_table("plays").read_position(FIRST) == 41
    assert folders(lake, "plays") == set()


def test_a_commit_without_rows_fences_an_older_handle(lake):
    stale = lake.open_table("plays")
    assert stale.read_position(FIRST) == NO_POSITION
    lake.open_table("plays").append(ROWS.empty_table(), [PositionMove(FIRST, NO_POSITION, 9)])
    with pytest.raises(PositionMoved) as moved:
        stale.append(plays(at("2026-11-22T16:00:00")), [PositionMove(FIRST, NO_POSITION, 0)])
    assert (moved.value.expected, moved.value.found) == (NO_POSITION, 9)
    assert lake.read("plays").num_rows == 0


def test_another_partition_s_commit_is_waited_for_and_gives_a_new_batch_number(lake):
    one, other = lake.open_table("plays"), lake.open_table("plays")
    assert one.read_position(FIRST) == other.read_position(SECOND) == NO_POSITION
    other.append(plays(at("2026-11-22T16:00:00")), [PositionMove(SECOND, NO_POSITION, 0)])
    assert one.append(plays(at("2026-11-22T17:00:00")), [PositionMove(FIRST, NO_POSITION, 0)]) == 2
    assert sorted(lake.read("plays", ["_batch"])["_batch"].to_pylist()) == [1, 2]


def test_append_unless_changed_is_refused_by_any_commit_of_others(lake):
    stale = lake.open_table("rejected")
    seen = stale.read_last_batch()
    lake.open_table("rejected").append_unless_changed(REJECTED_ROWS.empty_table(), [PositionMove(SECOND, NO_POSITION, 3)], since_batch=0)
    for _ in range(2):
        with pytest.raises(CommitConflict):
            stale.append_unless_changed(REJECTED_ROWS.empty_table(), [PositionMove(FIRST, NO_POSITION, 3)], since_batch=seen)
    assert lake.open_table("rejected").read_position(FIRST) == NO_POSITION


def test_a_position_that_is_not_where_the_writer_thinks_stops_it_before_it_writes(lake):
    table = lake.open_table("plays")
    with pytest.raises(PositionMoved):
        table.append(plays(at("2026-11-22T16:00:00")), [PositionMove(FIRST, 5, 6)])
    assert folders(lake, "plays") == set()


@pytest.mark.parametrize(
    ("moment", "folder"),
    [
        pytest.param("2025-12-31T23:59:59.999999", "year=2025/month=12/day=31/hour=23", id="last microsecond of a year"),
        pytest.param("2026-01-01T00:00:00", "year=2026/month=01/day=01/hour=00", id="first of a year"),
        pytest.param("2024-02-29T12:00:00", "year=2024/month=02/day=29/hour=12", id="leap day"),
        pytest.param("2026-02-28T23:59:59", "year=2026/month=02/day=28/hour=23", id="end of a short month"),
        pytest.param("2000-01-01T00:00:00", "year=2000/month=01/day=01/hour=00", id="earliest moment"),
    ],
)
def test_a_row_lies_in_the_hour_of_its_own_time(lake, moment, folder):
    lake.open_table("plays").append(plays(at(moment)), [PositionMove(FIRST, NO_POSITION, 0)])
    assert folders(lake, "plays") == {folder}
    row = lake.read("plays").to_pylist()[0]
    assert row["played_at"] == at(moment)
    assert f"year={row['year']}/month={row['month']}/day={row['day']}/hour={row['hour']}" == folder


def test_history_lies_by_month_and_rejected_by_the_day_it_was_read(lake):
    lake.open_table("history").append(plays(at("2024-02-29T12:00:00"), at("2024-02-01T00:00:00"), at("2024-03-01T00:00:00")), [])
    assert folders(lake, "history") == {"year=2024/month=02", "year=2024/month=03"}
    row = {"value": b"\xff\x00", "_ingested_at": at("2026-11-22T23:59:59"), "_partition": 0, "_offset": 0}
    lake.open_table("rejected").append_unless_changed(pa.Table.from_pylist([row], schema=REJECTED_ROWS), [], since_batch=0)
    assert folders(lake, "rejected") == {"year=2026/month=11/day=22"}
    assert lake.read("rejected", ["value"])["value"].to_pylist() == [b"\xff\x00"]


def test_rows_of_a_batch_are_sorted_by_time_within_a_file(lake):
    moments = [at(f"2026-11-22T16:{minute:02d}:00") for minute in (5, 1, 9, 3)]
    lake.open_table("plays").append(plays(*moments, title="夜に駆ける سلام"), [PositionMove(FIRST, NO_POSITION, 3)])
    rows = lake.read("plays", ["played_at", "_offset", "track_name"]).to_pylist()
    assert [row["_offset"] for row in rows] == [1, 3, 0, 2]
    assert rows[0]["track_name"] == "夜に駆ける سلام"


def test_the_log_knows_least_and_greatest_of_what_readers_filter_on(lake):
    lake.open_table("plays").append(plays(at("2026-11-22T16:05:00"), at("2026-11-22T16:01:00"), first_offset=7), [PositionMove(FIRST, NO_POSITION, 8)])
    file = pa.table(DeltaTable(lake.find_uri("plays")).get_add_actions(flatten=True)).to_pylist()[0]
    assert (file["num_records"], file["min._offset"], file["max._offset"], file["min._batch"], file["max._batch"]) == (2, 7, 8, 1, 1)
    assert (file["min.played_at"], file["max.played_at"]) == (at("2026-11-22T16:01:00"), at("2026-11-22T16:05:00"))


def test_tables_need_only_the_protocol_that_all_engines_read(lake):
    for name in LAYOUTS:
        protocol = DeltaTable(lake.find_uri(name)).protocol()
        assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2), name


def test_a_table_of_an_older_contract_gets_the_newer_columns_and_keeps_its_rows(tmp_path):
    lake = open_lake(tmp_path)
    layout = LAYOUTS["plays"]
    older = pa.schema([field for field in layout.full_schema if field.name != "is_private"])
    DeltaTable.create(lake.find_uri("plays"), schema=older, partition_by=list(layout.partition_by))
    lake.ensure_tables()
    lake.open_table("plays").append(plays(at("2026-11-22T16:00:00")), [PositionMove(FIRST, NO_POSITION, 0)])
    assert lake.read("plays", ["event_id", "is_private"]).to_pylist() == [{"event_id": "e0", "is_private": None}]


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "lake").write_text("not a folder")
    with pytest.raises(Unavailable) as refusal:
        open_lake(tmp_path / "lake").ensure_tables()
    assert str(tmp_path / "lake") in refusal.value.message
    assert refusal.value.next_step


def test_a_table_that_is_not_there_yet_is_named_with_what_makes_it(tmp_path):
    with pytest.raises(Unavailable, match="bronze/plays"):
        open_lake(tmp_path).read("plays")
