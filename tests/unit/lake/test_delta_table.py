"""Bronze on Delta Lake: where rows are stored, what the log knows of them, and what an unusable address reports."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from soundlake.contract import BRONZE_SCHEMA
from soundlake.errors import PositionMoved, Unavailable
from soundlake.lake import LAYOUTS, NO_POSITION, Lake, PositionMove, make_position_app_id
from soundlake.settings import Address

ROWS = pa.schema([field for field in BRONZE_SCHEMA if field.name != "_batch"])
REJECTED_ROWS = pa.schema([field for field in LAYOUTS["rejected"].schema if field.name != "_batch"])
FIRST = make_position_app_id("log", "user_plays", 0)


def open_lake(folder: Path) -> Lake:
    return Lake(Address(f"file://{folder}", "file", path=folder))


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = open_lake(tmp_path / "my lake")
    lake.ensure_tables()
    return lake


def make_plays(*moments: str, title: str = "Song", first_offset: int = 0) -> pa.Table:
    rows = [
        {"event_id": f"e{n}", "played_at": parse_utc(moment), "track_name": title, "_partition": 0, "_offset": first_offset + n}
        for n, moment in enumerate(moments)
    ]
    return pa.Table.from_pylist(rows, schema=ROWS)


def parse_utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def list_files(lake: Lake, name: str) -> list[Path]:
    root = Path(lake.find_uri(name))
    return sorted(path.relative_to(root) for path in root.rglob("part-*.parquet"))


def list_folders(lake: Lake, name: str) -> set[str]:
    return {str(path.parent) for path in list_files(lake, name)}


def test_a_batch_without_rows_writes_no_file(lake):
    lake.open_table("plays").append(ROWS.empty_table(), [PositionMove(FIRST, NO_POSITION, 41)])
    assert list_files(lake, "plays") == []


def test_a_writer_that_expects_another_position_stops_before_it_writes_a_file(lake):
    with pytest.raises(PositionMoved, match="bronze/plays"):
        lake.open_table("plays").append(make_plays("2026-11-22T16:00:00"), [PositionMove(FIRST, 5, 6)])
    assert list_files(lake, "plays") == []


def test_a_handle_is_renewed_after_fifty_commits_and_the_positions_stay(lake):
    table = lake.open_table("plays")
    for offset in range(52):
        table.append(ROWS.empty_table(), [PositionMove(FIRST, offset - 1, offset)])
    assert (table.read_last_batch(), table.read_position(FIRST)) == (52, 51)


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
def test_a_row_is_stored_in_the_hour_of_its_own_time(lake, moment, folder):
    lake.open_table("plays").append(make_plays(moment), [PositionMove(FIRST, NO_POSITION, 0)])
    assert list_folders(lake, "plays") == {folder}
    row = lake.read("plays").to_pylist()[0]
    assert row["played_at"] == parse_utc(moment)
    assert f"year={row['year']}/month={row['month']}/day={row['day']}/hour={row['hour']}" == folder


def test_a_batch_over_three_hours_is_written_as_three_files_named_by_the_batch(lake):
    moments = ("2026-11-22T16:59:59", "2026-11-22T17:00:00", "2026-11-22T17:30:00", "2026-11-22T18:00:00")
    lake.open_table("plays").append(make_plays(*moments), [])
    files = list_files(lake, "plays")
    assert [file.parent.name for file in files] == ["hour=16", "hour=17", "hour=18"]
    assert [file.name.split("-")[:2] for file in files] == [["part", "00000001"]] * 3
    rows = lake.read("plays", ["event_id", "hour"]).to_pylist()
    assert sorted((row["event_id"], row["hour"]) for row in rows) == [("e0", "16"), ("e1", "17"), ("e2", "17"), ("e3", "18")]


def test_history_is_partitioned_by_month_and_rejected_by_the_day_of_ingestion(lake):
    lake.open_table("history").append(make_plays("2024-02-29T12:00:00", "2024-02-01T00:00:00", "2024-03-01T00:00:00"), [])
    assert list_folders(lake, "history") == {"year=2024/month=02", "year=2024/month=03"}
    row = {"value": b"\xff\x00", "_ingested_at": parse_utc("2026-11-22T23:59:59"), "_partition": 0, "_offset": 0}
    lake.open_table("rejected").append_unless_changed(pa.Table.from_pylist([row], schema=REJECTED_ROWS), [], since_batch=0)
    assert list_folders(lake, "rejected") == {"year=2026/month=11/day=22"}
    assert lake.read("rejected", ["value"])["value"].to_pylist() == [b"\xff\x00"]


@pytest.mark.parametrize(("minutes", "order"), [((5, 1, 9, 3), [1, 3, 0, 2]), ((1, 9, 3), [0, 2, 1])], ids=["any", "first is first"])
def test_the_rows_of_a_file_are_sorted_by_time(lake, minutes, order):
    moments = [f"2026-11-22T16:{minute:02d}:00" for minute in minutes]
    lake.open_table("plays").append(make_plays(*moments, title="夜に駆ける سلام"), [PositionMove(FIRST, NO_POSITION, 3)])
    rows = lake.read("plays", ["played_at", "_offset", "track_name"]).to_pylist()
    assert [row["_offset"] for row in rows] == order
    assert rows[0]["track_name"] == "夜に駆ける سلام"


def test_the_log_keeps_minimum_and_maximum_of_the_columns_that_readers_filter_on(lake):
    rows = make_plays("2026-11-22T16:05:00", "2026-11-22T16:01:00", "2026-11-22T17:00:00.000001", first_offset=7)
    lake.open_table("plays").append(rows, [PositionMove(FIRST, NO_POSITION, 9)])
    actions = pa.table(DeltaTable(lake.find_uri("plays")).get_add_actions(flatten=True)).to_pylist()
    first, second = sorted(actions, key=lambda action: action["path"])
    assert (first["num_records"], first["min._offset"], first["max._offset"], first["min._batch"], first["max._batch"]) == (2, 7, 8, 1, 1)
    assert (first["min.played_at"], first["max.played_at"]) == (parse_utc("2026-11-22T16:01:00"), parse_utc("2026-11-22T16:05:00"))
    assert (second["num_records"], second["min._offset"], second["max._offset"], second["min._partition"]) == (1, 9, 9, 0)
    assert second["min.played_at"] == second["max.played_at"] == parse_utc("2026-11-22T17:00:00.000001")
    assert {first["null_count._offset"], first["null_count.played_at"]} == {0}
    assert first["size_bytes"] == (Path(lake.find_uri("plays")) / first["path"]).stat().st_size


@pytest.mark.parametrize(("count", "codec"), [(999, "SNAPPY"), (1_000, "ZSTD")], ids=["small", "large"])
def test_large_files_are_compressed_harder_and_use_dictionaries_for_repeated_texts(lake, count, codec):
    lake.open_table("plays").append(make_plays(*["2026-11-22T16:00:00"] * count), [])
    [file] = list_files(lake, "plays")
    group = pq.ParquetFile(Path(lake.find_uri("plays")) / file).metadata.row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert {column.compression for column in columns.values()} == {codec}
    with_dictionary = {name for name, column in columns.items() if column.has_dictionary_page}
    assert ("track_name" in with_dictionary) == (codec == "ZSTD")
    assert not {"event_id", "_offset"} & with_dictionary
    with_statistics = {name for name, column in columns.items() if column.statistics is not None}
    assert with_statistics == ({"_batch", "_partition", "_offset", "played_at"} if codec == "ZSTD" else set())
    assert lake.read("plays").num_rows == count


def test_tables_need_only_the_protocol_that_all_engines_read(lake):
    for name in LAYOUTS:
        protocol = DeltaTable(lake.find_uri(name)).protocol()
        assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2), name


def test_a_table_of_an_older_contract_gets_the_newer_columns_and_keeps_its_rows(tmp_path):
    lake = open_lake(tmp_path)
    layout = LAYOUTS["plays"]
    older = pa.schema([field for field in layout.full_schema if field.name != "is_private"])
    DeltaTable.create(lake.find_uri("plays"), schema=older, partition_by=list(layout.partition_by))
    table_id = lake.read_table_id("plays")
    lake.ensure_tables()
    lake.open_table("plays").append(make_plays("2026-11-22T16:00:00"), [PositionMove(FIRST, NO_POSITION, 0)])
    assert lake.read("plays", ["event_id", "is_private"]).to_pylist() == [{"event_id": "e0", "is_private": None}]
    assert lake.read_table_id("plays") == table_id


def test_the_last_write_is_the_last_commit_of_rows_or_positions(lake):
    assert lake.read_last_write_time("plays") is None
    begun = datetime.now(UTC).replace(microsecond=0)
    lake.open_table("plays").append(ROWS.empty_table(), [PositionMove(FIRST, NO_POSITION, 0)])
    written = lake.read_last_write_time("plays")
    assert written is not None
    assert begun <= written <= datetime.now(UTC)
    time.sleep(0.01)  # times of commits have milliseconds
    lake.open_table("plays").append(make_plays("2020-01-01T00:00:00"), [])
    newest = lake.read_last_write_time("plays")
    assert newest is not None
    assert newest > written


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "lake").write_text("not a folder")
    with pytest.raises(Unavailable) as error:
        open_lake(tmp_path / "lake").ensure_tables()
    assert str(tmp_path / "lake") in error.value.message
    assert error.value.next_step


@pytest.mark.parametrize(("layer", "command"), [("bronze", "soundlake sink"), ("processed", "soundlake stream")])
def test_a_missing_table_is_named_with_the_command_that_creates_it(tmp_path, layer, command):
    with pytest.raises(Unavailable, match=f"{layer}/plays: there is no such table yet") as error:
        open_lake(tmp_path).read_last_write_time("plays", layer)
    assert command in str(error.value.next_step)


def test_reading_a_missing_table_names_it(tmp_path):
    with pytest.raises(Unavailable, match="bronze/plays"):
        open_lake(tmp_path).read("plays")
