from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

from soundlake.warehouse.lake_copies import copy_to_lake

PLAYS = "select 'e' || n as event_id, date '2026-01-05' + n::int as played_date, n as heard_ms from range(21) as t(n)"  # three weeks


@dataclass
class Lake:
    """The lake that receives the copies."""

    folder: Path
    storage_options: dict[str, str] = field(default_factory=dict)

    def find_uri(self, name, layer="bronze"):
        return (self.folder / layer / name).absolute().as_uri()

    def open(self, name, layer):
        return DeltaTable(self.find_uri(name, layer))


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture
def warehouse():
    with duckdb.connect() as connection:
        connection.execute("create schema silver")
        connection.execute("create schema gold")
        connection.execute(f"create table silver.silver_plays as {PLAYS}")
        connection.execute(
            "create view silver.silver_observations as select event_id, 'kept' as status, event_id as play_id from silver.silver_plays"
        )
        connection.execute("create table silver.play_changes as select event_id, played_date from silver.silver_plays")
        connection.execute("create table gold.artist_stats as select 'a' as artist_key, 1.5 as minutes_listened")
        yield connection


def files_of(table):
    return set(table.file_uris())


def read_plays(lake):
    rows = lake.open("silver_plays", "silver").to_pyarrow_table(columns=["event_id", "heard_ms"]).to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def test_only_the_weeks_that_a_build_touched_are_rewritten(lake, warehouse):
    copy_to_lake(warehouse, lake, 1, None, whole=True)
    before = files_of(lake.open("silver_plays", "silver"))
    warehouse.execute("delete from silver.silver_plays where event_id = 'e20'")
    warehouse.execute("update silver.silver_plays set heard_ms = 99 where event_id = 'e19'")
    warehouse.execute("create or replace table silver.play_changes as select 'e20' as event_id, date '2026-01-25' as played_date")
    copy_to_lake(warehouse, lake, 2, 1, whole=False)
    assert len(before) == 3
    assert len(before & files_of(lake.open("silver_plays", "silver"))) == 2
    assert read_plays(lake) == sorted(warehouse.execute("select event_id, heard_ms from silver.silver_plays").fetchall())
    assert lake.open("silver_observations", "silver").to_pyarrow_table().num_rows == 20


def test_a_table_without_changed_rows_is_not_rewritten(lake, warehouse):
    copy_to_lake(warehouse, lake, 1, None, whole=True)
    copy_to_lake(warehouse, lake, 2, 1, whole=False)
    assert lake.open("artist_stats", "gold").version() == 0
    warehouse.execute("update gold.artist_stats set minutes_listened = 2.5")
    copy_to_lake(warehouse, lake, 3, 2, whole=False)
    assert lake.open("artist_stats", "gold").to_pyarrow_table()["minutes_listened"].to_pylist() == [2.5]


def test_a_build_that_touched_no_play_counts_as_copied(lake, warehouse):
    copy_to_lake(warehouse, lake, 1, None, whole=True)
    before = files_of(lake.open("silver_plays", "silver"))
    warehouse.execute("truncate silver.play_changes")
    copy_to_lake(warehouse, lake, 2, 1, whole=False)
    copy_to_lake(warehouse, lake, 3, 2, whole=False)
    assert files_of(lake.open("silver_plays", "silver")) == before


def test_a_copy_that_missed_a_build_is_rewritten_whole(lake, warehouse):
    copy_to_lake(warehouse, lake, 1, None, whole=True)
    warehouse.execute("update silver.silver_plays set heard_ms = 7")
    warehouse.execute("truncate silver.play_changes")
    copy_to_lake(warehouse, lake, 3, 2, whole=False)
    assert {heard for _, heard in read_plays(lake)} == {7}


SESSIONS = {  # of one listener: before and after a build, with its touched plays; 2026-01-05 is a Monday
    "a play between two joins them": (
        [("01-11 23:20", "01-11 23:50"), ("01-12 00:25", "01-12 01:00"), ("01-20 10:00", "01-20 10:05")],
        [("01-11 23:20", "01-12 01:00"), ("01-20 10:00", "01-20 10:05")],
        ["01-11 23:52"],
    ),
    "a play that is taken away splits one": (
        [("01-11 23:20", "01-12 01:00")],
        [("01-11 23:20", "01-11 23:30"), ("01-12 00:20", "01-12 01:00")],
        ["01-11 23:55"],
    ),
    "the first play moves to another week": (
        [("01-11 23:55", "01-12 00:10")],
        [("01-12 00:05", "01-12 00:10")],
        ["01-11 23:55", "01-12 00:05"],
    ),
    "the last one is gone": (
        [("01-05 10:00", "01-05 11:00"), ("01-14 10:00", "01-14 10:01")],
        [("01-05 10:00", "01-05 11:00")],
        ["01-14 10:00"],
    ),
}  # fmt: skip


def store_sessions(warehouse, sessions, touched):
    warehouse.execute("create or replace table gold.listening_sessions(user_id text, started_at timestamptz, ended_at timestamptz)")
    warehouse.executemany("insert into gold.listening_sessions values ('u', '2026-' || $1, '2026-' || $2)", sessions)
    warehouse.execute("insert into gold.listening_sessions values ('v', '2026-01-06 10:00', '2026-01-06 11:00')")
    warehouse.execute("alter table gold.listening_sessions add column open_until timestamptz")
    warehouse.execute("alter table gold.listening_sessions add column date date")
    warehouse.execute("update gold.listening_sessions set open_until = ended_at + interval 30 minute, date = started_at::date")
    warehouse.execute("create or replace table silver.play_changes(user_id text, played_at timestamptz)")
    warehouse.executemany("insert into silver.play_changes values ('u', '2026-' || $1)", [(moment,) for moment in touched])
    warehouse.execute("alter table silver.play_changes add column played_date date")
    warehouse.execute("update silver.play_changes set played_date = played_at::date")
    warehouse.execute(
        "create or replace table silver.touched_listeners as "
        "select user_id, min(played_at) as first_touched_at from silver.play_changes group by 1"
    )


@pytest.mark.parametrize("name", SESSIONS)
def test_the_copy_of_the_sessions_follows_each_build_by_the_weeks(lake, warehouse, name):
    before, after, touched = SESSIONS[name]
    warehouse.execute("set TimeZone = 'UTC'")
    store_sessions(warehouse, before, ["01-05 00:00"])
    copy_to_lake(warehouse, lake, 1, None, whole=True)
    store_sessions(warehouse, after, touched)
    copy_to_lake(warehouse, lake, 2, 1, whole=False)
    copied = lake.open("listening_sessions", "gold").to_pyarrow_table(columns=["user_id", "started_at", "ended_at"])
    expected = warehouse.execute("select user_id, started_at, ended_at from gold.listening_sessions").to_arrow_table()
    assert sorted(map(str, copied.to_pylist())) == sorted(map(str, expected.to_pylist()))


def test_weeks_without_a_touched_session_keep_their_files(lake, warehouse):
    warehouse.execute("set TimeZone = 'UTC'")
    store_sessions(warehouse, [("01-14 10:00", "01-14 10:01")], ["01-14 10:00"])
    copy_to_lake(warehouse, lake, 1, None, whole=True)
    before = files_of(lake.open("listening_sessions", "gold"))
    copy_to_lake(warehouse, lake, 2, 1, whole=False)
    assert len(before) == 2
    assert len(before & files_of(lake.open("listening_sessions", "gold"))) == 1
