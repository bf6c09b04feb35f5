"""Real exports to silver_plays: one row a play, whichever file comes first, in one import or several, with builds in between."""

import duckdb
import pytest
from export_checker import reckon

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
    truth = reckon(shared, shared / "data" / "spotify-exports" / listener)
    snapshot = settings.warehouse_address.path / "snapshots" / "current.duckdb"
    statement = "select content_type, count(*), sum(ms_played)::bigint from silver.silver_plays where user_id = ? group by all"
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        found = connection.execute(statement, [user]).fetchall()
    assert {kind: count for kind, count, _ in found} == truth["plays"]
    assert {kind: ms for kind, _, ms in found} == truth["plays_ms"]


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
