"""Imports through the embedded log, the sink and Delta tables, as the command runs them."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
import typer
from typer.testing import CliRunner

from soundlake import wiring
from soundlake.cli.imports import run_import_events, run_import_spotify_export
from soundlake.errors import DataError, Unavailable, UsageError
from soundlake.importing import IMPORT_LOCK
from soundlake.local_files import try_lock
from soundlake.progress import StepList
from soundlake.settings import Settings
from soundlake.sink.models import SINK_LOCK

app = typer.Typer()
app.command("spotify-export")(run_import_spotify_export)
app.command("events")(run_import_events)


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", topics={"partitions": 2})


@pytest.fixture
def run(settings):
    """Run a command as a user does; the result has exit_code, stdout, stderr and exception."""

    def run_command(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"SOUNDLAKE_HOME": str(settings.home)})

    return run_command


def write_export(path, count, start=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    first = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        {
            "ts": (first + timedelta(minutes=3 * number)).strftime("%Y-%m-%dT%H:%M:%SZ"), "ms_played": 170_000,
            "master_metadata_track_name": f"Song {number % 50}", "master_metadata_album_artist_name": "The Lanterns",
            "spotify_track_uri": f"spotify:track:{number % 50:022d}", "reason_start": "trackdone", "reason_end": "trackdone",
        }
        for number in range(start, start + count)
    ]  # fmt: skip
    path.write_text(json.dumps(rows))
    return path


def count_history(settings):
    return len(wiring.open_lake(settings).read("history", ["event_id"]))


def test_the_report_alone_is_on_standard_output(run, settings, tmp_path):
    write_export(tmp_path / "data" / "anna" / "endsong_0.json", 20)
    write_export(tmp_path / "data" / "ben" / "endsong_0.json", 30)
    result = run("spotify-export", tmp_path / "data", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (report["rows_read"], report["rows_stored"], report["first_played_at"]) == (50, 50, "2023-12-31T23:57:10Z")
    assert [(one["listener"], one["rows_stored"]) for one in report["listeners"]] == [("anna", 20), ("ben", 30)]
    assert count_history(settings) == 50


def test_a_broken_file_is_in_the_report_with_its_position_and_the_others_are_imported(run, settings, tmp_path):
    write_export(tmp_path / "anna" / "endsong_0.json", 20)
    cut = write_export(tmp_path / "anna" / "endsong_1.json", 20, start=20)
    cut.write_bytes(cut.read_bytes()[:1000])
    result = run("spotify-export", tmp_path / "anna", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 3
    (broken,) = report["files_broken"]
    assert (broken["file"], broken["line"]) == ("anna/endsong_1.json", 1)
    assert 900 < broken["byte"] <= 1000
    assert "anna/endsong_1.json" in result.stderr
    assert report["rows_stored"] == 20
    write_export(tmp_path / "anna" / "endsong_1.json", 20, start=20)
    assert json.loads(run("spotify-export", tmp_path / "anna", "--json").stdout)["rows_stored"] == 20
    assert count_history(settings) == 40


def test_without_json_the_report_is_a_table(run, tmp_path):
    write_export(tmp_path / "anna" / "endsong_0.json", 20)
    result = run("spotify-export", tmp_path / "anna", "--user", "annabel")
    assert "rows stored" in result.stdout
    assert "annabel" in result.stdout


def test_wrong_use_and_empty_folders_have_their_exit_codes(run, tmp_path):
    (tmp_path / "empty").mkdir()
    assert isinstance(run("spotify-export", tmp_path / "nowhere").exception, UsageError)
    assert isinstance(run("spotify-export", tmp_path / "empty").exception, DataError)
    assert isinstance(run("events", tmp_path / "nowhere.parquet").exception, UsageError)


def test_events_of_a_second_import_are_duplicates(run, settings, tmp_path):
    events = tmp_path / "e.jsonl"
    events.write_text(
        '{"event_id": "00000000-0000-4000-8000-000000000001", "event_type": "play", "played_at": "2024-02-29T00:00:00Z"}\n{}\n'
    )
    first, second = (json.loads(run("events", events, "--json").stdout) for _ in range(2))
    assert (first["rows_read"], first["rows_stored"], first["refused_by_reason"]) == (2, 1, {"missing_event_id": 1})
    assert (second["rows_read"], second["rows_stored"], second["rows_duplicate"], second["rows_refused"]) == (2, 0, 1, 1)
    assert count_history(settings) == 1


def test_rows_that_a_killed_import_published_are_stored_first_and_not_again(settings, tmp_path):
    """The process exits in its second file: the first one is published, not yet in bronze."""
    for number in range(3):
        write_export(tmp_path / "anna" / f"endsong_{number}.json", 500, start=500 * number)
    script = """
import os, sys
from pathlib import Path
from soundlake import wiring
from soundlake.progress import StepList
from soundlake.settings import load_settings

class KilledReporter(StepList):
    def advance(self, done, detail=""):
        if done > (Path(sys.argv[1]) / "endsong_0.json").stat().st_size:
            os._exit(9)

with wiring.open_importer(load_settings(), KilledReporter()) as importer:
    importer.import_history([Path(sys.argv[1])], None)
"""
    killed = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "anna"],
        env={**os.environ, "SOUNDLAKE_HOME": str(settings.home), "SOUNDLAKE_TOPIC_PARTITIONS": "2"}, check=False,
    )  # fmt: skip
    assert killed.returncode == 9
    with wiring.open_importer(settings, StepList()) as importer:
        report = importer.import_history([tmp_path / "anna"], None)
    assert (report.total.rows_stored, report.total.rows_duplicate) == (1000, 500)
    assert count_history(settings) == 1500


def test_an_import_waits_for_the_sink_that_runs(settings, tmp_path):
    write_export(tmp_path / "anna" / "endsong_0.json", 500)
    stop, running = threading.Event(), threading.Event()

    def serve():
        with try_lock(settings.home / SINK_LOCK) as free:
            assert free
            broker = wiring.open_broker(settings)
            sink = wiring.build_sink(settings, broker, wiring.open_lake(settings))
            running.set()
            sink.run(stop=stop)
            broker.close()

    wiring.open_lake(settings)
    service = threading.Thread(target=serve)
    service.start()
    try:
        assert running.wait(30)
        with wiring.open_importer(settings, StepList()) as importer:
            report = importer.import_history([tmp_path / "anna"], None)
        assert report.total.rows_stored == count_history(settings) == 500
    finally:
        stop.set()
        service.join(30)


def test_an_import_waits_for_a_sink_of_another_home(settings, tmp_path):
    """It moves the positions between two commits of our own sink, which stops; the import then waits for the other one."""
    write_export(tmp_path / "anna" / "endsong_0.json", 2000)
    stop = threading.Event()
    broker = wiring.open_broker(settings)
    sink = wiring.build_sink(settings.change(sink={"max_seconds": 0.05}), broker, wiring.open_lake(settings))
    failures = []

    def serve():
        while not stop.is_set():
            try:
                sink.run(stop=stop)
            except DataError as moved:
                failures.append(moved)

    service = threading.Thread(target=serve)
    service.start()
    try:
        with wiring.open_importer(settings, StepList()) as importer:
            report = importer.import_history([tmp_path / "anna"], None)
        assert report.total.rows_stored == count_history(settings) == 2000
    finally:
        stop.set()
        service.join(30)
        broker.close()


def test_a_second_import_at_the_same_time_is_refused(settings, tmp_path):
    write_export(tmp_path / "anna" / "endsong_0.json", 5)
    with (
        try_lock(settings.home / IMPORT_LOCK),
        wiring.open_importer(settings, StepList()) as importer,
        pytest.raises(Unavailable, match="another import is running"),
    ):
        importer.import_history([tmp_path / "anna"], None)
