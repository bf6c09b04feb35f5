import subprocess
import sys
from datetime import UTC, datetime

import pytest
from tests.unit.warehouse.dbt_project_builder import FakeLake

from soundlake.errors import DataError, Unavailable
from soundlake.warehouse.build_state import (
    REPLACED_TABLES,
    FinishedBuild,
    begin_build,
    finish_build,
    open_build,
    plan_build,
    read_last_finished_build,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def connection(tmp_path):
    with open_build(tmp_path / "build.duckdb") as opened:
        yield opened


@pytest.fixture
def lake():
    return FakeLake()


def build(connection, lake, fingerprint="f", *, full_refresh=False, finish=True):
    plan = plan_build(connection, lake, fingerprint, full_refresh=full_refresh)
    begin_build(connection, plan, fingerprint, NOW)
    for table in REPLACED_TABLES:
        connection.execute(f"create table if not exists silver.{table} (event_id varchar)")
    if finish:
        finish_build(connection, plan, NOW)
    return plan


def window_of(plan, table):
    return next((window.low, window.high) for window in plan.windows if window.table == table)


def test_the_first_build_is_a_full_refresh_and_the_next_reads_the_new_batches(connection, lake):
    lake.batches["plays"] = 3
    assert build(connection, lake).reasons == ("nothing is built yet",)
    lake.batches["plays"] = 5
    plan = build(connection, lake)
    assert (plan.reasons, window_of(plan, "plays"), window_of(plan, "likes")) == ((), (3, 5), (0, 0))


def test_without_new_batches_there_is_no_work(connection, lake):
    build(connection, lake)
    assert not plan_build(connection, lake, "f", full_refresh=False).has_work


def test_an_unfinished_build_leaves_the_watermark_and_the_next_build_has_work(connection, lake):
    build(connection, lake)
    lake.batches["plays"] = 2
    build(connection, lake, finish=False)
    plan = plan_build(connection, lake, "f", full_refresh=False)
    assert plan.has_work
    assert (plan.reasons, window_of(plan, "plays")) == ((), (0, 2))


def test_an_unfinished_full_refresh_is_repeated(connection, lake):
    build(connection, lake)
    build(connection, lake, full_refresh=True, finish=False)
    build(connection, lake, finish=False)
    assert plan_build(connection, lake, "f", full_refresh=False).reasons == ("a full refresh did not finish",)


def test_a_recreated_bronze_table_is_found_by_its_id_or_by_its_batches(connection, lake):
    lake.batches["likes"] = lake.batches["skips"] = 4
    build(connection, lake)
    lake.ids["likes"] = "second"
    lake.batches["skips"] = 1
    plan = plan_build(connection, lake, "f", full_refresh=False)
    assert plan.reasons == ("bronze/skips was created again", "bronze/likes was created again")
    assert (window_of(plan, "likes"), window_of(plan, "skips")) == ((0, 4), (0, 1))


def test_changed_models_need_a_full_refresh(connection, lake):
    build(connection, lake)
    assert plan_build(connection, lake, "other", full_refresh=False).reasons == ("the models changed",)


def test_finishing_empties_the_tables_of_replaced_rows(connection, lake):
    build(connection, lake)
    plan = build(connection, lake, finish=False)
    for table in REPLACED_TABLES:
        connection.execute(f"insert into silver.{table} values ('a')")
    finish_build(connection, plan, NOW)
    assert [connection.execute(f"from silver.{table}").fetchall() for table in REPLACED_TABLES] == [[]] * len(REPLACED_TABLES)


def test_a_full_refresh_drops_the_old_tables_and_an_incremental_build_keeps_them(connection, lake):
    build(connection, lake)
    connection.execute("create table silver.old (a int); create table gold.old (a int)")
    build(connection, lake)
    assert connection.execute("select count(*) from duckdb_tables() where table_name = 'old'").fetchone() == (2,)
    build(connection, lake, full_refresh=True)
    assert connection.execute("select count(*) from duckdb_tables() where table_name = 'old'").fetchone() == (0,)


def test_the_last_finished_build_names_the_finished_one_before_it(connection, lake):
    build(connection, lake)
    assert read_last_finished_build(connection) == FinishedBuild(1, None, True, NOW)
    build(connection, lake, finish=False)
    build(connection, lake)
    assert read_last_finished_build(connection) == FinishedBuild(3, 1, False, NOW)


def test_a_build_database_that_is_open_elsewhere_is_unavailable(tmp_path):
    script = f"import duckdb; c = duckdb.connect('{tmp_path / 'build.duckdb'}'); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "1\n"
        with pytest.raises(Unavailable, match="another process has it open"):
            open_build(tmp_path / "build.duckdb")
        other.communicate("")


def test_a_damaged_build_database_is_named(tmp_path):
    (tmp_path / "build.duckdb").write_bytes(b"no database" * 1000)
    with pytest.raises(DataError, match=r"build\.duckdb"):
        open_build(tmp_path / "build.duckdb")
