"""The delivery contract of `BronzeTable`, kept by Delta tables and by tables in memory alike."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from soundlake.errors import PositionMoved
from soundlake.lake import (
    LAYOUTS,
    NO_POSITION,
    BronzeTables,
    CommitConflict,
    Lake,
    MemoryBronzeTables,
    MissingKind,
    MissingOffsets,
    PositionMove,
    make_missing_app_ids,
    make_position_app_id,
)
from soundlake.settings import Address

ROWS = pa.schema([field for field in LAYOUTS["plays"].schema if field.name != "_batch"])
FIRST, SECOND = make_position_app_id("log", "user_plays", 0), make_position_app_id("log", "user_plays", 1)
NO_ROWS = ROWS.empty_table()


@pytest.fixture(params=["delta", "memory"])
def tables(request, tmp_path) -> BronzeTables:
    if request.param == "memory":
        return MemoryBronzeTables()
    lake = Lake(Address(f"file://{tmp_path}", "file", path=tmp_path))
    lake.ensure_tables()
    return lake


def make_rows(*event_ids: str) -> pa.Table:
    played_at = datetime(2024, 2, 29, 23, 59, tzinfo=UTC)
    return pa.Table.from_pylist([{"event_id": event_id, "played_at": played_at} for event_id in event_ids], schema=ROWS)


def read_rows(tables: BronzeTables) -> list[tuple[str, int]]:
    rows = tables.open_table("plays").read(["event_id", "_batch"])
    return sorted(zip(rows["event_id"].to_pylist(), rows["_batch"].to_pylist(), strict=True))


def test_a_new_table_has_no_rows_no_batch_and_no_position(tables):
    table = tables.open_table("plays")
    assert (table.read().num_rows, table.read_last_batch(), table.read_position(FIRST)) == (0, 0, NO_POSITION)


def test_rows_and_positions_become_visible_together(tables):
    table = tables.open_table("plays")
    assert table.append(make_rows("a", "b"), [PositionMove(FIRST, NO_POSITION, 1), PositionMove(SECOND, NO_POSITION, 0)]) == 1
    for view in (table, tables.open_table("plays")):
        assert (view.read_last_batch(), view.read_position(FIRST), view.read_position(SECOND)) == (1, 1, 0)
    assert read_rows(tables) == [("a", 1), ("b", 1)]


def test_a_commit_without_rows_moves_the_position_and_counts_as_a_batch(tables):
    assert tables.open_table("plays").append(NO_ROWS, [PositionMove(FIRST, NO_POSITION, 41)]) == 1
    assert tables.open_table("plays").read_position(FIRST) == 41
    assert read_rows(tables) == []


def test_a_writer_continues_from_its_own_commits(tables):
    table = tables.open_table("plays")
    numbers = [table.append(make_rows(f"e{n}"), [PositionMove(FIRST, n - 1, n)]) for n in range(3)]
    assert numbers == [1, 2, 3]
    assert read_rows(tables) == [("e0", 1), ("e1", 2), ("e2", 3)]


def test_a_view_does_not_change_until_it_is_refreshed(tables):
    view = tables.open_table("plays")
    assert view.read_last_batch() == 0
    tables.open_table("plays").append(make_rows("a"), [PositionMove(FIRST, NO_POSITION, 0)])
    assert (view.read_last_batch(), view.read_position(FIRST), view.read().num_rows) == (0, NO_POSITION, 0)
    view.refresh()
    assert (view.read_last_batch(), view.read_position(FIRST), view.read().num_rows) == (1, 0, 1)


def test_a_conflict_with_another_partition_is_retried_with_a_new_batch_number(tables):
    one, other = tables.open_table("plays"), tables.open_table("plays")
    assert one.read_position(FIRST) == other.read_position(SECOND) == NO_POSITION
    other.append(make_rows("other"), [PositionMove(SECOND, NO_POSITION, 0)])
    assert one.append(make_rows("one"), [PositionMove(FIRST, NO_POSITION, 0)]) == 2
    assert read_rows(tables) == [("one", 2), ("other", 1)]


def test_a_conflict_on_the_same_partition_stops_the_writer_that_lost(tables):
    stale = tables.open_table("plays")
    assert stale.read_position(FIRST) == NO_POSITION
    tables.open_table("plays").append(NO_ROWS, [PositionMove(FIRST, NO_POSITION, 9)])
    with pytest.raises(PositionMoved) as moved:
        stale.append(make_rows("a"), [PositionMove(FIRST, NO_POSITION, 0)])
    assert (moved.value.partition, moved.value.expected, moved.value.found) == (FIRST, NO_POSITION, 9)
    assert read_rows(tables) == []


def test_one_unexpected_position_of_several_stops_the_whole_commit(tables):
    table = tables.open_table("plays")
    with pytest.raises(PositionMoved) as moved:
        table.append(make_rows("a"), [PositionMove(FIRST, NO_POSITION, 0), PositionMove(SECOND, 5, 6)])
    assert (moved.value.partition, moved.value.expected, moved.value.found) == (SECOND, 5, NO_POSITION)
    assert (read_rows(tables), tables.open_table("plays").read_position(FIRST)) == ([], NO_POSITION)


def test_append_unless_changed_stores_on_the_batch_that_was_read(tables):
    table = tables.open_table("plays")
    seen = table.read_last_batch()
    assert table.append_unless_changed(make_rows("a"), [PositionMove(FIRST, NO_POSITION, 0)], since_batch=seen) == 1
    assert table.append_unless_changed(make_rows("b"), [PositionMove(FIRST, NO_POSITION, 5)], since_batch=1) == 2
    assert (read_rows(tables), table.read_position(FIRST)) == ([("a", 1), ("b", 2)], 5)


def test_append_unless_changed_conflicts_with_any_other_commit(tables):
    stale = tables.open_table("plays")
    seen = stale.read_last_batch()
    tables.open_table("plays").append_unless_changed(NO_ROWS, [PositionMove(SECOND, NO_POSITION, 3)], since_batch=0)
    for _ in range(2):
        with pytest.raises(CommitConflict):
            stale.append_unless_changed(make_rows("a"), [PositionMove(FIRST, NO_POSITION, 3)], since_batch=seen)
        stale.refresh()
    assert (read_rows(tables), tables.open_table("plays").read_position(FIRST)) == ([], NO_POSITION)


def test_a_writer_that_dies_between_writing_and_committing_leaves_nothing(tables):
    def die(point: str) -> None:
        raise RuntimeError(point)

    with pytest.raises(RuntimeError, match="files_written"):
        tables.open_table("plays", die).append(make_rows("a"), [PositionMove(FIRST, NO_POSITION, 0)])
    assert (read_rows(tables), tables.open_table("plays").read_last_batch()) == ([], 0)
    assert tables.open_table("plays").append(make_rows("a"), [PositionMove(FIRST, NO_POSITION, 0)]) == 1
    assert read_rows(tables) == [("a", 1)]


def test_another_commit_between_writing_and_committing_is_a_conflict(tables):
    def let_the_other_commit(_point: str) -> None:
        if tables.open_table("plays").read_last_batch() == 0:
            tables.open_table("plays").append(make_rows("other"), [PositionMove(SECOND, NO_POSITION, 0)])

    with pytest.raises(CommitConflict):
        tables.open_table("plays", let_the_other_commit).append_unless_changed(make_rows("a"), [], since_batch=0)
    assert read_rows(tables) == [("other", 1)]


def test_read_returns_the_columns_and_rows_that_are_asked_for(tables):
    tables.open_table("plays").append(make_rows("a", "b"), [])
    tables.open_table("plays").append(make_rows("c"), [])
    found = tables.open_table("plays").read(["_batch", "event_id"], pc.field("_batch") > 1)
    assert found.to_pydict() == {"_batch": [2], "event_id": ["c"]}


def test_offsets_without_a_row_are_counted_with_the_position_that_passes_them(tables):
    empty_ids, lost_ids = (make_missing_app_ids(FIRST, kind) for kind in (MissingKind.EMPTY, MissingKind.LOST))
    table = tables.open_table("plays")
    table.append(make_rows("a"), [PositionMove(FIRST, NO_POSITION, 3, (MissingOffsets(MissingKind.EMPTY, 3, 1),))])
    table.append(NO_ROWS, [PositionMove(FIRST, 3, 5, (MissingOffsets(MissingKind.EMPTY, 2, 4),)), PositionMove(SECOND, NO_POSITION, 0)])
    table.append(NO_ROWS, [PositionMove(FIRST, 5, 9, (MissingOffsets(MissingKind.LOST, 4, 6),))])
    with pytest.raises(PositionMoved):
        table.append(NO_ROWS, [PositionMove(FIRST, 5, 9, (MissingOffsets(MissingKind.LOST, 4, 6),))])
    seen = tables.open_table("plays")
    assert [seen.read_position(app_id) for app_id in (FIRST, *empty_ids, *lost_ids)] == [9, 5, 1, 4, 6]
    assert seen.read_position(make_missing_app_ids(SECOND, MissingKind.EMPTY)[0]) == NO_POSITION
