"""The incremental build equals the full one, row for row, for any events in any order."""

from collections import Counter

import duckdb
import psutil
import pytest
from tests.warehouse_builder import BronzeBuilder
from tests.warehouse_cases import Listening
from tests.warehouse_tables import find_lasting_tables, list_compared_columns

from soundlake.errors import Unavailable
from soundlake.warehouse import Warehouse


@pytest.fixture
def bronze(tmp_path):
    return BronzeBuilder(tmp_path / "lake")


@pytest.fixture
def warehouse(tmp_path, bronze):
    with Warehouse(tmp_path / "warehouse", bronze, memory_limit="1GB") as opened:
        yield opened


def read_tables(folder):
    """Every lasting table, as sorted rows."""
    with duckdb.connect(str(folder / "build.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {name: read_rows(connection, table) for name, table in find_lasting_tables(connection).items()}


def read_rows(connection, table):
    return connection.execute(f"select {list_compared_columns(connection, table)} from {table} order by all").fetchall()


def assert_equal(incremental, full):
    assert incremental.keys() == full.keys()
    for name in full:
        missing, invented = Counter(full[name]) - Counter(incremental[name]), Counter(incremental[name]) - Counter(full[name])
        assert (name, list(missing)[:3], list(invented)[:3]) == (name, [], [])


def check_seed(bronze, warehouse, seed, batches):
    for placed in Listening(seed).split(batches):
        bronze.append_placed(placed)
        assert warehouse.transform().built
    incremental = read_tables(warehouse.folder)
    assert warehouse.transform(full_refresh=True).full_refresh_reasons == ("asked for",)
    full = read_tables(warehouse.folder)
    assert_equal(incremental, full)
    return full


@pytest.mark.parametrize("seed", range(3))
def test_any_batches_in_any_order_build_what_a_full_refresh_builds(bronze, warehouse, seed):
    full = check_seed(bronze, warehouse, seed, batches=4)
    assert full["silver_rejected"]
    assert full["superseded_plays"]
    assert full["shows_in_rejected_rows"]
    assert len({row[0] for row in full["silver_observations"]}) == len(full["silver_observations"])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
def test_any_batches_in_any_order_build_what_a_full_refresh_builds_at_length(bronze, warehouse, seed):
    check_seed(bronze, warehouse, seed, batches=6)


def kill_dbt():
    (worker,) = (child for child in psutil.Process().children() if "soundlake.warehouse.dbt_worker" in child.cmdline())
    worker.kill()


def test_the_next_build_repairs_one_whose_dbt_was_killed_between_or_within_models(bronze, warehouse):
    first, second, third = Listening(7).split(3)
    bronze.append_placed(first)
    warehouse.transform()
    bronze.append_placed(second)
    points = [("play_observations", "finished"), ("silver_plays", "started"), ("silver_plays", "finished"), ("listener_tracks", "started")]
    for model, event in points:

        def kill(node, what, model=model, event=event):
            if (node, what) == (model, event):
                kill_dbt()

        with pytest.raises(Unavailable, match="dbt ended before"):
            warehouse.transform(on_progress=kill)
    bronze.append_placed(third)
    assert warehouse.transform().full_refresh_reasons == ()
    incremental = read_tables(warehouse.folder)
    warehouse.transform(full_refresh=True)
    assert_equal(incremental, read_tables(warehouse.folder))
