"""Discarding a build: what goes, what readers keep."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from soundlake.errors import Unavailable
from soundlake.warehouse.build_lock import hold_build_lock
from soundlake.warehouse.discard import delete_old_snapshots, discard_build, has_build


@pytest.fixture
def warehouse(tmp_path):
    for name in ("build.duckdb", "build.duckdb.wal", "temp/spilled", "dbt/logs/dbt.log", "extensions/delta", "snapshots/1.duckdb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "snapshots" / "2.duckdb").write_text("2")
    (tmp_path / "snapshots" / ".3.duckdb.part").write_text("3")
    (tmp_path / "snapshots" / "current.duckdb").symlink_to("2.duckdb")
    return tmp_path


def list_files(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "build.lock"}


def test_the_build_goes_and_the_snapshots_stay_for_their_readers(warehouse):
    assert has_build(warehouse)
    assert discard_build(warehouse, lambda: 7) == 7
    kept = {"extensions/delta", *(f"snapshots/{name}" for name in ("1.duckdb", "2.duckdb", ".3.duckdb.part", "current.duckdb"))}
    assert list_files(warehouse) == kept


def test_of_the_snapshots_only_the_current_one_stays(warehouse):
    assert delete_old_snapshots(warehouse) == 1
    assert {path.name for path in (warehouse / "snapshots").iterdir()} == {"2.duckdb", "current.duckdb"}


def test_nothing_is_discarded_under_a_running_build(warehouse):
    with hold_build_lock(warehouse):
        for discard in (lambda: discard_build(warehouse, pytest.fail), lambda: delete_old_snapshots(warehouse)):
            with pytest.raises(Unavailable, match="another build is running"):
                discard()
    assert (warehouse / "build.duckdb").exists()


def test_what_discards_waits_for_the_end_of_the_build_that_runs(warehouse):
    with ThreadPoolExecutor() as pool:
        with hold_build_lock(warehouse):
            discards = [pool.submit(discard_build, warehouse, lambda: 7, 30), pool.submit(delete_old_snapshots, warehouse, 30)]
            assert not wait(discards, timeout=0.3).done
        assert [one.result() for one in discards] == [7, 1]


def test_an_empty_folder_has_no_build(tmp_path):
    assert not has_build(tmp_path)
