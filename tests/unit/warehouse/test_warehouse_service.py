"""Builds of a small dbt project: what a transform reports, publishes and copies, and how it fails."""

from datetime import UTC, datetime

import pytest
from deltalake import DeltaTable
from tests.unit.warehouse.dbt_project_builder import FakeLake, write_project

from soundlake.errors import DataError, Permanent, Unavailable, UsageError
from soundlake.warehouse import Warehouse, open_snapshot, read_current_id, read_published_at
from soundlake.warehouse.build_lock import hold_build_lock
from soundlake.warehouse.dbt_process import DbtResult, NodeResult
from soundlake.warehouse.service import check_result

NOW = datetime(2026, 3, 1, 12, 30, 59, tzinfo=UTC)


class Recorder:
    """An observer that keeps what it receives."""

    def __init__(self):
        self.reports, self.failures = [], []

    def record_build(self, report):
        self.reports.append(report)

    def record_failed_build(self, seconds):
        self.failures.append(seconds)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A warehouse after its first build, with that build's report."""
    folder = tmp_path_factory.mktemp("built")
    lake, observer = FakeLake(folder / "lake"), Recorder()
    lake.batches["plays"] = 3
    project = write_project(folder / "project")
    with Warehouse(folder / "warehouse", lake, project=project, now=lambda: NOW, observer=observer) as warehouse:
        warehouse.observer, warehouse.lake, warehouse.project = observer, lake, project
        progress = []
        warehouse.report = warehouse.transform(on_progress=lambda *event: progress.append(event))
        warehouse.progress = progress
        yield warehouse


def read_total(warehouse):
    with open_snapshot(warehouse.folder) as snapshot:
        return snapshot.connection.execute("select total from gold.totals").fetchone()[0]


def test_the_first_build_is_reported_published_and_copied(built):
    report = built.report
    assert (report.built, report.full_refresh_reasons, report.new_batches) == (True, ("nothing is built yet",), {"plays": 3})
    assert report.is_full_refresh
    assert report.snapshot == "20260301T123059Z-000001" == read_current_id(built.folder)
    assert report.rows == {"replaced_observations": 0, "replaced_plays": 0, "replaced_records": 0, "silver_first": 1, "totals": 1}
    assert set(report.seconds_by_model) == set(report.rows)
    assert 0 < sum(report.seconds_by_model.values()) < report.seconds < 300
    assert built.observer.reports[0] is report
    assert DeltaTable(built.lake.find_uri("totals", "gold")).to_pyarrow_table().to_pylist() == [{"total": 3}]
    assert 0 <= (datetime.now(UTC) - read_published_at(built.folder)).total_seconds() < 300


def test_progress_names_each_model_when_it_starts_and_ends(built):
    assert sorted(built.progress) == sorted((model, event) for model in built.report.rows for event in ("started", "finished"))


def test_without_new_batches_nothing_is_built_and_the_snapshot_stays(built):
    file = (built.folder / "snapshots" / "current.duckdb").resolve()
    before = file.stat().st_mtime_ns
    report = built.transform()
    assert (report.built, report.full_refresh_reasons, report.new_batches, report.seconds_by_model) == (False, (), {}, {})
    assert (report.snapshot, report.rows) == (read_current_id(built.folder), built.report.rows)
    assert file.stat().st_mtime_ns == before


def test_new_batches_are_built_incrementally_and_published_under_the_next_number(built):
    built.lake.batches["plays"] += 2
    report = built.transform(test=True)
    assert (report.built, report.full_refresh_reasons, report.new_batches) == (True, (), {"plays": 2})
    assert report.snapshot == read_current_id(built.folder) == f"20260301T123059Z-{int(report.snapshot[-6:]):06}"
    assert read_total(built) == built.lake.batches["plays"]


def test_a_damaged_snapshot_is_published_again(built):
    snapshot_id = built.transform().snapshot
    path = built.folder / "snapshots" / f"{snapshot_id}.duckdb"
    path.chmod(0o644)
    path.write_bytes(b"damaged" * 10_000)
    with pytest.raises(DataError, match="the snapshot is damaged"):
        open_snapshot(built.folder)
    assert built.transform().snapshot == snapshot_id
    assert read_total(built) == built.lake.batches["plays"]


def test_a_failed_model_publishes_nothing_and_the_next_build_repairs_it(built):
    before, failures = read_current_id(built.folder), len(built.observer.failures)
    built.lake.batches["plays"] = 66
    with pytest.raises(Permanent, match=r"^1 of the warehouse's models or tests failed: model totals: (.|\n)*no total"):
        built.transform()
    assert read_current_id(built.folder) == before
    assert len(built.observer.failures) == failures + 1
    assert 0 < built.observer.failures[-1] < 300
    built.lake.batches["plays"] = 67
    report = built.transform()
    assert (report.full_refresh_reasons, report.new_batches["plays"] > 1) == ((), True)


def test_a_failed_data_test_publishes_nothing(built):
    before = read_current_id(built.folder)
    built.lake.batches["plays"] = 77
    with pytest.raises(DataError, match="test not_null_totals_total"):
        built.transform(test=True)
    assert read_current_id(built.folder) == before
    built.lake.batches["plays"] = 78
    assert built.transform().built


def test_changed_models_and_a_request_are_reasons_for_a_full_refresh(built):
    model = built.project / "models" / "gold" / "totals.sql"
    model.write_text(model.read_text() + "\n")
    report = built.transform(full_refresh=True)
    assert report.full_refresh_reasons == ("asked for", "the models changed")
    assert built.transform().full_refresh_reasons == ()


def test_an_error_of_dbt_itself_is_reported_with_its_message(built):
    with pytest.raises(Permanent, match=r"dbt failed: .*no-such-option"):
        check_result(built.run_dbt("run", "--no-such-option"))


@pytest.mark.parametrize(("kinds", "error"), [(["test", "test"], DataError), (["test", "model"], Permanent)], ids=["tests", "a model too"])
def test_failures_are_counted_and_the_first_five_named(kinds, error):
    nodes = tuple(NodeResult(f"node{n}", kinds[n % 2], status, " why ", 0.1) for n, status in enumerate(["fail", "error"] * 3))
    skipped = NodeResult("skipped", "model", "skipped", None, 0.1)
    with pytest.raises(Permanent) as caught:
        check_result(DbtResult(False, None, (*nodes, skipped)))
    assert type(caught.value) is error
    named = "; ".join(f"{node.kind} {node.name}: why" for node in nodes[:5])
    assert str(caught.value).startswith(f"6 of the warehouse's models or tests failed: {named}\n")


def test_while_another_build_runs_the_warehouse_is_unavailable(built):
    with hold_build_lock(built.folder), pytest.raises(Unavailable, match="another build is running"):
        built.transform()


def test_a_folder_without_a_dbt_project_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="no dbt project here"):
        Warehouse(tmp_path, FakeLake(), project=tmp_path)


@pytest.mark.parametrize("table", ["plays", "history"])
def test_bronze_has_plays_once_they_came_live_or_were_imported(built, tmp_path, table):
    lake = FakeLake()
    warehouse = Warehouse(tmp_path, lake, project=built.project)
    lake.filled.add("likes")
    lake.batches[table] = 1  # positions only
    assert not warehouse.has_plays
    lake.filled.add(table)
    assert warehouse.has_plays
    warehouse.close()
