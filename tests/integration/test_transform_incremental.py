"""The incremental build equals the full one, row for row, whatever arrives in whatever order."""

from collections import Counter

import duckdb
import pytest
from tests.warehouse_builder import BronzeBuilder
from tests.warehouse_cases import Listening

from soundlake.errors import Unavailable
from soundlake.warehouse import Warehouse

OF_ONE_BUILD = {
    "arrived_events", "contested_events", "touched_events", "repeated_events", "reopened_plays", "decided_plays",
    "touched_plays", "replaced_plays", "replaced_open_plays",
    "play_changes",
    "touched_days", "touched_listeners",
}  # fmt: skip
"""Tables that say what a build had to do, not what is."""


@pytest.fixture
def bronze(tmp_path):
    return BronzeBuilder(tmp_path / "lake")


@pytest.fixture
def warehouse(tmp_path, bronze):
    with Warehouse(tmp_path / "warehouse", bronze, memory_limit="1GB") as opened:
        yield opened


def append(bronze, placed):
    for table in sorted({table for table, _ in placed}):
        bronze.append(table, [event for to, event in placed if to == table])


def read_tables(folder):
    """Every table that lasts, as sorted rows; doubles to nine digits, since sums of them depend on the order."""
    with duckdb.connect(str(folder / "build.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        names = connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_schema in ('silver', 'gold') or table_name = 'currently_playing'"
        ).fetchall()
        return {name: read_rows(connection, f'"{schema}"."{name}"') for schema, name in sorted(names) if name not in OF_ONE_BUILD}


def read_rows(connection, table):
    columns = connection.execute(f"describe {table}").fetchall()
    chosen = ", ".join(f'round("{c[0]}", 9)' if c[1] in ("DOUBLE", "FLOAT") else f'"{c[0]}"' for c in columns)
    return connection.execute(f"select {chosen} from {table} order by all").fetchall()


def assert_equal(incremental, full):
    assert incremental.keys() == full.keys()
    for name in full:
        missing, invented = Counter(full[name]) - Counter(incremental[name]), Counter(incremental[name]) - Counter(full[name])
        assert (name, list(missing)[:3], list(invented)[:3]) == (name, [], [])


def check_seed(bronze, warehouse, seed, batches):
    for placed in Listening(seed).split(batches):
        append(bronze, placed)
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
    assert len({row[0] for row in full["silver_observations"]}) == len(full["silver_observations"])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
def test_any_batches_in_any_order_build_what_a_full_refresh_builds_at_length(bronze, warehouse, seed):
    check_seed(bronze, warehouse, seed, batches=6)


def test_dbt_killed_between_and_within_models_is_repaired_by_the_next_build(bronze, warehouse):
    first, second, third = Listening(7).split(3)
    append(bronze, first)
    warehouse.transform()
    append(bronze, second)
    points = [("open_plays", "finished"), ("silver_plays", "started"), ("silver_plays", "finished"), ("listener_tracks", "started")]
    for model, event in points:

        def kill(node, what, model=model, event=event):
            if (node, what) == (model, event):
                warehouse.kill_dbt()

        with pytest.raises(Unavailable, match="dbt ended"):
            warehouse.transform(on_progress=kill)
    append(bronze, third)
    assert warehouse.transform().full_refresh_reasons == ()
    incremental = read_tables(warehouse.folder)
    warehouse.transform(full_refresh=True)
    assert_equal(incremental, read_tables(warehouse.folder))
