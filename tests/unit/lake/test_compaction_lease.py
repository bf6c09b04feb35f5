"""Two compactions of one table at once: delta-rs would keep the new files of both, with every row twice. The lease prevents it."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import Transaction

from soundlake.lake import LAYOUTS, CommitConflict, Lake, PositionMove, make_position_app_id
from soundlake.lake.compaction import compact_table
from soundlake.lake.compaction_lease import LEASE_APP_ID, CompactionLease, hold_compaction_lease
from soundlake.settings import Address

APP_ID = make_position_app_id("log", "user_plays", 0)
LAYOUT = LAYOUTS["plays"]
ROWS = pa.schema([field for field in LAYOUT.schema if field.name != "_batch"])
NOW = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(Address(f"file://{tmp_path}", "file", path=tmp_path))
    lake.ensure_tables()
    return lake


def append(lake: Lake, *offsets: int) -> None:
    for offset in offsets:
        row = {"event_id": str(offset), "played_at": datetime(2024, 2, 29, 10, tzinfo=UTC), "_partition": 0, "_offset": offset}
        lake.open_table("plays").append(pa.Table.from_pylist([row], schema=ROWS), [PositionMove(APP_ID, offset - 1, offset)])


def open_plays(lake: Lake) -> DeltaTable:
    return DeltaTable(lake.find_uri("plays"))


def read_offsets(lake: Lake) -> list[int]:
    return sorted(lake.read("plays", ["_offset"])["_offset"].to_pylist())


def set_lease(lake: Lake, until: float) -> None:
    table = open_plays(lake)
    table.create_write_transaction(
        actions=[],
        mode="append",
        schema=table.schema(),
        partition_by=list(LAYOUT.partition_by),
        commit_properties=CommitProperties(app_transactions=[Transaction(LEASE_APP_ID, int(until))]),
    )


def test_a_compaction_that_began_before_another_one_conflicts_and_duplicates_nothing(lake):
    append(lake, 0, 1, 2)
    stale = open_plays(lake)
    assert lake.compact(NOW)[0].files_before == 3
    with pytest.raises(CommitConflict):
        compact_table(stale, LAYOUT, NOW)
    assert read_offsets(lake) == [0, 1, 2]


def test_compactions_at_the_same_time_duplicate_nothing(lake):
    for begin in range(0, 15, 3):
        append(lake, begin, begin + 1, begin + 2)
        start = threading.Barrier(3)

        def compact(barrier=start) -> None:
            barrier.wait()
            lake.compact(NOW)

        threads = [threading.Thread(target=compact) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert read_offsets(lake) == list(range(15))


def test_a_leased_table_is_skipped_and_compacted_after_the_lease_has_expired(lake):
    append(lake, 0, 1)
    set_lease(lake, time.time() + 60)
    done = lake.compact(NOW)[0]
    assert (done.files_before, len(open_plays(lake).file_uris())) == (0, 2)
    set_lease(lake, time.time() - 1)
    assert lake.compact(NOW)[0].files_before == 2


def test_the_lease_is_released_after_a_compaction_and_after_a_failed_one(lake):
    append(lake, 0, 1)
    lake.compact(NOW)
    append(lake, 2, 3)
    with pytest.raises(ZeroDivisionError), hold_compaction_lease(open_plays(lake), LAYOUT):
        raise ZeroDivisionError
    assert lake.compact(NOW)[0].files_before == 3


def test_while_one_process_holds_the_lease_another_cannot_take_it(lake):
    with hold_compaction_lease(open_plays(lake), LAYOUT) as lease:
        for _ in range(2):
            with pytest.raises(CommitConflict, match="another process compacts it"), hold_compaction_lease(open_plays(lake), LAYOUT):
                pass
            lease.renew()
        leased_until = open_plays(lake).transaction_version(LEASE_APP_ID)
        assert time.time() + 880 < leased_until <= time.time() + 900


def test_of_two_processes_that_take_the_lease_on_one_version_the_second_conflicts(lake):
    first, second = (CompactionLease(open_plays(lake), LAYOUT) for _ in range(2))
    first.acquire()
    with pytest.raises(CommitConflict):
        second.acquire()


def test_a_table_without_small_files_is_not_leased(lake):
    append(lake, 0)
    version = open_plays(lake).version()
    lake.compact(NOW)
    assert open_plays(lake).version() == version


def test_the_lease_neither_counts_as_a_write_nor_stops_a_writer(lake):
    append(lake, 0)
    table, written = lake.open_table("plays"), lake.read_last_write_time("plays")
    assert table.read_position(APP_ID) == 0
    time.sleep(0.01)
    with hold_compaction_lease(open_plays(lake), LAYOUT):
        assert lake.read_last_write_time("plays") == written
        assert table.append(ROWS.empty_table(), [PositionMove(APP_ID, 0, 1)]) == 2
    assert lake.read_last_batch("plays") == 2
