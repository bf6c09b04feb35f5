"""Real exports through the real pipeline (embedded log, sink, Delta tables): the report agrees with an independent checker."""

import itertools
import zipfile
from collections import Counter

import pytest
from export_checker import COUNTS, reckon

from soundlake import wiring
from soundlake.progress import StepList
from soundlake.settings import Settings

LISTENERS = ["listener-a", "listener-c", "listener-d"]


@pytest.fixture
def home(tmp_path):
    return Settings(home=tmp_path / "home", topics={"partitions": 2})


@pytest.fixture
def exports(shared):
    return shared / "data" / "spotify-exports"


@pytest.fixture
def assert_agrees(shared):
    """Returns a function that compares the reports of a listener's imports, added up, with the independent checker."""

    def check(folder, reports):
        truth = reckon(shared, folder)
        assert {name: sum(report[name] for report in reports) for name in COUNTS} == {name: truth[name] for name in COUNTS}

    return check


def run_import(settings, *paths, user=None):
    with wiring.open_importer(settings, StepList()) as importer:
        return importer.import_history(paths, user)


def read_bronze(settings):
    lake = wiring.open_lake(settings)
    return lake.read("history").to_pylist(), lake.read("rejected").to_pylist()


@pytest.mark.parametrize("listener", LISTENERS)
def test_every_listener_agrees_and_a_second_import_stores_nothing(exports, home, assert_agrees, listener):
    first = run_import(home, exports / listener)
    assert_agrees(exports / listener, [first.as_json()])
    history, rejected = read_bronze(home)
    assert len({row["event_id"] for row in history}) == len(history) == first.total.rows_stored
    assert sum(row["ms_played"] for row in history) == first.total.ms_played
    assert Counter(row["reason"] for row in rejected) == first.total.refused_by_reason
    second = run_import(home, exports / listener)
    assert (second.total.rows_stored, second.total.ms_played) == (0, 0)
    assert second.total.rows_duplicate == first.total.rows_stored + first.total.rows_duplicate
    assert second.total.refused_by_reason == first.total.refused_by_reason
    assert [len(rows) for rows in read_bronze(home)] == [len(history), len(rejected)]


def test_all_listeners_of_a_folder_in_one_import(exports, home, assert_agrees):
    report = run_import(home, exports)
    assert list(report.by_listener) == LISTENERS
    assert [left.name for left in report.files_left_out] == ["spotify-exports/README.md"]
    reports = {one["listener"]: one for one in report.as_json()["listeners"]}
    for listener in LISTENERS:
        assert_agrees(exports / listener, [reports[listener]])


@pytest.mark.parametrize("order", list(itertools.permutations(["endsong_2.json", "StreamingHistory0.json"])), ids=" then ".join)
def test_file_by_file_in_any_order_adds_up(exports, home, assert_agrees, order):
    reports = [run_import(home, exports / "listener-a" / name, user="anna") for name in order]
    assert_agrees(exports / "listener-a", [report.as_json() for report in reports])
    assert len(read_bronze(home)[0]) == sum(report.total.rows_stored for report in reports)


def test_the_zip_of_a_folder_is_the_folder(exports, home, assert_agrees, tmp_path):
    folder = exports / "listener-a"
    with zipfile.ZipFile(tmp_path / "my_spotify_data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, f"Spotify Extended Streaming History/{file.name}")
        archive.writestr("Spotify Extended Streaming History/ReadMeFirst.pdf", "")
    report = run_import(home, tmp_path / "my_spotify_data.zip", user="listener-a")
    assert_agrees(folder, [report.as_json()])
    assert [left.name for left in report.files_left_out] == ["my_spotify_data.zip/Spotify Extended Streaming History/ReadMeFirst.pdf"]
    assert run_import(home, folder).total.rows_stored == 0
