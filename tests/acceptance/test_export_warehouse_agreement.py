"""Real exports to silver_plays: one row a play, whichever file comes first, in one import or several, with builds in between."""

import subprocess
import sys

import pytest

from soundlake import wiring
from soundlake.progress import StepList
from soundlake.settings import Settings


@pytest.fixture
def home(tmp_path):
    return Settings(home=tmp_path / "home", topics={"partitions": 2})


def import_and_build(settings, *paths, user=None):
    with wiring.open_importer(settings, StepList()) as importer:
        importer.import_history(paths, user)
    with wiring.open_warehouse(settings, wiring.open_lake(settings)) as warehouse:
        return warehouse.transform()


def assert_agrees(shared, settings, listener, user):
    snapshot = settings.warehouse_address.path / "snapshots" / "current.duckdb"
    command = [sys.executable, shared / "tools" / "export_truth.py", shared / "data" / "spotify-exports" / listener]
    done = subprocess.run([*command, "--warehouse", snapshot, "--user", user], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "files", [["endsong_2.json", "StreamingHistory0.json"], ["StreamingHistory0.json", "endsong_2.json"]], ids=" then ".join
)
def test_file_by_file_with_a_build_after_each_agrees(shared, home, files):
    for file in files:
        import_and_build(home, shared / "data" / "spotify-exports" / "listener-a" / file, user="anna")
    assert_agrees(shared, home, "listener-a", "anna")


def test_all_listeners_in_one_import_agree(shared, home):
    import_and_build(home, shared / "data" / "spotify-exports")
    for listener in ("listener-a", "listener-c", "listener-d"):
        assert_agrees(shared, home, listener, listener)
