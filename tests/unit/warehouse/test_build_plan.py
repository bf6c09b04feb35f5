from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from soundlake.warehouse.build_state import BRONZE_TABLES, begin_build, finish_build, open_build, plan_build

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Lake:
    """A lake of batch numbers."""

    batches: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BRONZE_TABLES, 0))
    ids: dict[str, str] = field(default_factory=lambda: dict.fromkeys(BRONZE_TABLES, "first"))
    storage_options: dict[str, str] = field(default_factory=dict)

    def uri(self, name, layer="bronze"):
        return f"/{layer}/{name}"

    def last_batch(self, name):
        return self.batches[name]

    def table_id(self, name):
        return self.ids[name]


@pytest.fixture
def connection(tmp_path):
    with open_build(tmp_path / "build.duckdb") as opened:
        opened.execute("create table silver.replaced_plays (event_id varchar)")
        opened.execute("create table silver.replaced_open_plays (event_id varchar)")
        yield opened


@pytest.fixture
def lake():
    return Lake()


def build(connection, lake, fingerprint="f", *, full_refresh=False, cut_short=False):
    plan = plan_build(connection, lake, fingerprint, full_refresh=full_refresh)
    begin_build(connection, plan, fingerprint, NOW)
    if not cut_short:
        finish_build(connection, plan, NOW)
    return plan


def window_of(plan, table):
    return next((window.low, window.high) for window in plan.windows if window.table == table)


def test_the_first_build_is_a_full_one_and_the_next_reads_what_came_since(connection, lake):
    lake.batches["plays"] = 3
    assert build(connection, lake).reasons == ("nothing is built yet",)
    lake.batches["plays"] = 5
    plan = build(connection, lake)
    assert (plan.reasons, window_of(plan, "plays"), window_of(plan, "likes")) == ((), (3, 5), (0, 0))


def test_without_anything_new_there_is_no_work(connection, lake):
    build(connection, lake)
    assert not plan_build(connection, lake, "f", full_refresh=False).has_work


def test_a_build_cut_short_leaves_the_watermark_and_is_work_for_the_next(connection, lake):
    build(connection, lake)
    lake.batches["plays"] = 2
    build(connection, lake, cut_short=True)
    plan = plan_build(connection, lake, "f", full_refresh=False)
    assert plan.has_work
    assert (plan.reasons, window_of(plan, "plays")) == ((), (0, 2))


def test_a_full_refresh_cut_short_is_begun_again(connection, lake):
    build(connection, lake)
    build(connection, lake, full_refresh=True, cut_short=True)
    build(connection, lake, cut_short=True)
    assert plan_build(connection, lake, "f", full_refresh=False).reasons == ("a full refresh was cut short",)


def test_a_bronze_table_made_anew_is_found_by_its_id_or_by_its_batches(connection, lake):
    lake.batches["likes"] = lake.batches["skips"] = 4
    build(connection, lake)
    lake.ids["likes"] = "second"
    lake.batches["skips"] = 1
    plan = plan_build(connection, lake, "f", full_refresh=False)
    assert plan.reasons == ("bronze/skips was made anew", "bronze/likes was made anew")
    assert (window_of(plan, "likes"), window_of(plan, "skips")) == ((0, 4), (0, 1))


def test_other_models_build_everything_anew(connection, lake):
    build(connection, lake)
    assert plan_build(connection, lake, "other", full_refresh=False).reasons == ("the models changed",)


def test_finishing_forgets_what_was_replaced(connection, lake):
    connection.execute("insert into silver.replaced_plays values ('a')")
    build(connection, lake)
    assert connection.execute("select count(*) from silver.replaced_plays").fetchone() == (0,)
