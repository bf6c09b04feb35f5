"""Row retention: which partitions go, what is counted of them, and what stays."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from soundlake.lake import LAYOUTS, NO_POSITION, Lake, PositionMove, make_position_app_id
from soundlake.lake.deleted_rows import DELETED_ROWS_APP_ID, make_deleted_rows_app_id, make_first_deleted_app_id
from soundlake.settings import Address

BEFORE = datetime(2026, 3, 1, tzinfo=UTC)
LONG_AGO = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(Address(f"file://{tmp_path}", "file", path=tmp_path))
    lake.ensure_tables()
    return lake


def append(lake: Lake, name: str, *rows: tuple[str, datetime | str, int, int]) -> None:
    """Rows of (time, arrival, partition, offset)."""
    layout = LAYOUTS[name]
    schema = pa.schema([field for field in layout.schema if field.name != "_batch"])
    columns = [
        {
            layout.time_column: datetime.fromisoformat(time).replace(tzinfo=UTC),
            **({"event_id": f"{partition}/{offset}"} if name != "replays" else {}),
            **({"_ingested_at": arrival} if layout.time_column == "played_at" else {}),
            "_broker": "log",
            "_topic": "user_plays",
            "_partition": partition,
            "_offset": offset,
        }
        for time, arrival, partition, offset in rows
    ]
    lake.open_table(name).append(pa.Table.from_pylist(columns, schema=schema), [])


def read_places(lake: Lake, name: str) -> list[tuple[int, int]]:
    rows = lake.read(name, ["_partition", "_offset"])
    return sorted(zip(rows["_partition"].to_pylist(), rows["_offset"].to_pylist(), strict=True))


def read_count(lake: Lake, name: str, app_id: str) -> int:
    return lake.open_table(name).read_position(app_id)


def test_hours_that_are_over_and_arrived_before_go_and_are_counted_by_partition(lake):
    append(
        lake,
        "plays",
        ("2026-02-28T23:59:59.999999", LONG_AGO, 0, 7),
        ("2026-02-28T22:00:00", LONG_AGO, 0, 5),
        ("2026-02-03T10:00:00", LONG_AGO, 1, 4),
        ("2026-03-01T00:00:00", LONG_AGO, 0, 8),
    )
    assert lake.delete_rows_before(BEFORE) == {"plays": 3}
    assert read_places(lake, "plays") == [(0, 8)]
    assert read_count(lake, "plays", DELETED_ROWS_APP_ID) == 3
    assert [read_count(lake, "plays", make_deleted_rows_app_id("log", "user_plays", n)) for n in (0, 1, 2)] == [2, 1, NO_POSITION]
    assert [read_count(lake, "plays", make_first_deleted_app_id("log", "user_plays", n)) for n in (0, 1, 2)] == [5, 4, NO_POSITION]


def test_counts_grow_over_several_rounds_and_the_first_offset_is_the_smallest(lake):
    append(lake, "plays", ("2026-01-10T10:00:00", LONG_AGO, 0, 9))
    assert lake.delete_rows_before(BEFORE) == {"plays": 1}
    append(lake, "plays", ("2026-01-11T10:00:00", LONG_AGO, 0, 3), ("2026-01-11T11:00:00", LONG_AGO, 0, 12))
    assert lake.delete_rows_before(BEFORE) == {"plays": 2}
    append(lake, "plays", ("2026-02-11T10:00:00", LONG_AGO, 0, 20))
    assert lake.delete_rows_before(BEFORE) == {"plays": 1}
    assert read_count(lake, "plays", DELETED_ROWS_APP_ID) == 4
    assert read_count(lake, "plays", make_deleted_rows_app_id("log", "user_plays", 0)) == 4
    assert read_count(lake, "plays", make_first_deleted_app_id("log", "user_plays", 0)) == 3


def test_several_months_are_deleted_in_one_round_and_counted_together(lake):
    append(lake, "plays", *((f"2025-{month:02d}-28T12:00:00", LONG_AGO, 0, month) for month in range(1, 13)))
    version = DeltaTable(lake.find_uri("plays")).version()
    assert lake.delete_rows_before(BEFORE) == {"plays": 12}
    assert read_places(lake, "plays") == []
    assert read_count(lake, "plays", make_deleted_rows_app_id("log", "user_plays", 0)) == 12
    assert DeltaTable(lake.find_uri("plays")).version() == version + 12


def test_an_old_event_that_has_just_arrived_keeps_its_hour(lake):
    append(lake, "plays", ("2026-02-10T10:00:00", LONG_AGO, 0, 1), ("2026-02-10T11:00:00", LONG_AGO, 0, 2))
    append(lake, "plays", ("2026-02-10T10:30:00", BEFORE, 0, 3))
    assert lake.delete_rows_before(BEFORE) == {"plays": 1}
    assert read_places(lake, "plays") == [(0, 1), (0, 3)]


def test_old_events_that_have_just_arrived_are_no_deleted_rows(lake):
    append(lake, "plays", ("2026-02-10T10:30:00", BEFORE, 0, 3))
    assert lake.delete_rows_before(BEFORE) == {}
    assert read_places(lake, "plays") == [(0, 3)]


def test_hours_of_two_days_are_deleted_without_touching_other_hours_of_the_same_number(lake):
    append(
        lake,
        "plays",
        ("2026-02-10T10:00:00", LONG_AGO, 0, 1),
        ("2026-02-11T11:00:00", LONG_AGO, 0, 2),
        ("2026-02-10T11:00:00", BEFORE, 0, 3),
        ("2026-02-11T10:00:00", BEFORE, 0, 4),
    )
    assert lake.delete_rows_before(BEFORE) == {"plays": 2}
    assert read_places(lake, "plays") == [(0, 3), (0, 4)]


def test_history_goes_by_whole_months_and_rejected_by_whole_days(lake):
    append(lake, "history", ("2026-01-31T23:00:00", LONG_AGO, 0, 1), ("2026-03-02T10:00:00", LONG_AGO, 0, 2))
    append(lake, "rejected", ("2026-02-28T10:00:00", "", 0, 3), ("2026-03-01T10:00:00", "", 0, 4))
    append(lake, "replays", ("2026-02-27T10:00:00", "", 0, 5), ("2026-03-02T10:00:00", "", 0, 6))
    in_march = datetime(2026, 3, 1, 23, tzinfo=UTC)
    assert lake.delete_rows_before(in_march) == {"history": 1, "rejected": 1, "replays": 1}
    assert [read_places(lake, name) for name in ("history", "rejected", "replays")] == [[(0, 2)], [(0, 4)], [(0, 6)]]


def test_without_old_rows_nothing_is_committed(lake):
    append(lake, "plays", ("2026-03-02T10:00:00", LONG_AGO, 0, 1))
    version = DeltaTable(lake.find_uri("plays")).version()
    assert lake.delete_rows_before(BEFORE) == {}
    assert DeltaTable(lake.find_uri("plays")).version() == version
    assert read_count(lake, "plays", DELETED_ROWS_APP_ID) == NO_POSITION


def test_a_writer_from_before_the_deletion_continues_at_its_position(lake):
    app_id = make_position_app_id("log", "user_plays", 0)
    table = lake.open_table("plays")
    schema = pa.schema([field for field in LAYOUTS["plays"].schema if field.name != "_batch"])
    table.append(schema.empty_table(), [PositionMove(app_id, NO_POSITION, 4)])
    append(lake, "plays", ("2026-02-10T10:00:00", LONG_AGO, 0, 5))
    lake.delete_rows_before(BEFORE)
    table.append(schema.empty_table(), [PositionMove(app_id, 4, 6)])
    assert read_count(lake, "plays", app_id) == 6
