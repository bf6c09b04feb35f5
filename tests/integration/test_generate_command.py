import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from soundlake.generator import GeneratorConfig
from soundlake.generator.output.live_state import LiveState

SMALL = ("--listeners", "40", "--days", "4", "--tracks", "600", "--start", "2026-03-01")


@pytest.fixture
def soundlake(tmp_path):
    """Runs the command in a separate home: `soundlake("generate", …)`."""

    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "soundlake.cli.app", *words], check=False, capture_output=True, env=environment(tmp_path), timeout=300
        )
        assert done.returncode == code, done.stderr.decode()
        return done

    return run


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "SOUNDLAKE_HOME": str(home / "home")}


def test_the_summary_counts_the_records_of_the_truth(soundlake, tmp_path):
    summary = json.loads(soundlake("generate", *SMALL, "--faults", "harsh", "--truth", str(tmp_path / "truth"), "--json").stdout)
    truth = pq.read_table(sorted((tmp_path / "truth").glob("events*.parquet")))
    assert summary["acknowledged"] == summary["events"] == len(truth)
    assert (summary["failed"], summary["unsure"]) == (0, 0)
    broken = next((tmp_path / "truth").glob("broken*")).read_text().splitlines()
    assert summary["broken"] == len(broken) > 0


def test_standard_output_and_a_file_have_the_same_bytes(soundlake, tmp_path):
    streamed = soundlake("generate", *SMALL, "--out", "-").stdout
    soundlake("generate", *SMALL, "--out", str(tmp_path / "events.ndjson"))
    assert hashlib.sha256(streamed).digest() == hashlib.sha256((tmp_path / "events.ndjson").read_bytes()).digest()
    assert json.loads(streamed.splitlines()[0])["event_id"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--listeners", "0"), "--listeners 0"),
        (("--malformed", "0.7"), "--malformed 0.7"),
        (("--as", "spotify-export"), "--as spotify-export"),
        (("--as", "lastfm", "--out", "-"), "--as lastfm"),
        (("--out", "x.parquet", "--generation", "2020"), "--generation 2020"),
        (("--out", "x.parquet", "--live"), "--live"),
        (("--speed", "3"), "--speed"),
        (("--out", "nowhere/x.parquet"), "--out nowhere/x.parquet"),
        (("--processes", "0"), "--processes 0"),
        (("--out", "x.parquet", "--faults", "harsh"), "--malformed 0.003"),
    ],
    ids=[
        "range",
        "share",
        "no folder",
        "view to standard output",
        "generation of events",
        "contradiction",
        "not live",
        "unwritable",
        "processes",
        "malformed in Parquet",
    ],
)
def test_invalid_options_are_errors_with_their_names(soundlake, words, message):
    assert message in soundlake("generate", *words, code=2).stderr.decode()


def test_a_closed_pipe_ends_the_run_without_a_traceback(tmp_path):
    words = [sys.executable, "-m", "soundlake.cli.app", "generate", *SMALL, "--out", "-"]
    with subprocess.Popen(words, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert json.loads(run.stdout.readline())["event_id"]
        run.stdout.close()
        assert run.wait(timeout=120) == 1
        assert b"Traceback" not in run.stderr.read()


def test_an_export_of_one_listener_is_imported_completely(soundlake, tmp_path):
    export = tmp_path / "export"
    one = ("--listeners", "1", "--days", "60", "--tracks", "600", "--start", "2026-03-01", "--as", "spotify-export")
    plays = json.loads(soundlake("generate", *one, "--out", str(export), "--json").stdout)["events_play"]
    report = json.loads(soundlake("import", "spotify-export", str(export), "--json").stdout)
    assert (report["rows_read"], report["rows_stored"]) == (plays, plays)
    assert plays > 0


@pytest.mark.parametrize(
    ("form", "source"),
    [
        (("spotify-export", "--generation", "short"), "spotify-export"),
        (("spotify-live",), "events"),
        (("listenbrainz",), "listenbrainz"),
        (("lastfm",), "lastfm"),
    ],
    ids=["short", "live", "listenbrainz", "lastfm"],
)
def test_every_row_of_a_view_is_in_the_report_of_its_import_and_in_the_truth(soundlake, tmp_path, form, source):
    view, truth = tmp_path / "view", tmp_path / "truth"
    one = ("--listeners", "1", "--days", "20", "--tracks", "600", "--start", "2026-03-01", "--as", *form)
    soundlake("generate", *one, "--out", str(view), "--truth", str(truth))
    report = json.loads(soundlake("import", source, str(view), "--json").stdout)
    rows = pq.read_table(next(truth.glob("observations-*.parquet")))
    playing_now = report["refused_by_reason"].get("no_date", 0)
    assert report["rows_read"] - playing_now == len(rows) > 0
    assert set(rows["play_id"].to_pylist()) <= set(pq.read_table(sorted(truth.glob("events-*.parquet")))["event_id"].to_pylist())
    assert report["rows_stored"] + report["rows_duplicate"] + report["rows_refused"] == report["rows_read"]


def test_a_live_run_resumes_where_the_last_one_stopped(tmp_path):
    state = tmp_path / "home" / "generator"
    state.mkdir(parents=True)
    config = GeneratorConfig(listeners=40, days=30, tracks=600)
    LiveState(state, config).write(datetime.now(UTC) - timedelta(hours=20))
    for _ in range(2):
        _run_live_for_a_while(tmp_path)
    truth = pq.read_table(sorted((tmp_path / "truth").glob("events*.parquet")))["event_id"].to_pylist()
    assert len(truth) > 20
    assert len(set(truth)) == len(truth)


def _run_live_for_a_while(tmp_path: Path) -> None:
    words = ["generate", "--live", "--speed", "5000", "--listeners", "40", "--tracks", "600", "--truth", str(tmp_path / "truth"), "--json"]
    live = subprocess.Popen([sys.executable, "-m", "soundlake.cli.app", *words], env=environment(tmp_path), stdout=subprocess.PIPE)
    before = len(list(tmp_path.glob("truth/events*")))
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("truth/events*"))) < before + 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    live.send_signal(signal.SIGINT)
    output, _ = live.communicate(timeout=60)
    assert json.loads(output)["failed"] == 0


@pytest.mark.parametrize("wait_seconds", [0.0, 0.5, 2.0], ids=["starting", "importing", "making"])
def test_an_interrupted_run_of_several_processes_leaves_no_file_no_process_and_no_traceback(tmp_path, wait_seconds):
    words = ["generate", "--listeners", "3000", "--days", "90", "--processes", "3", "--out", str(tmp_path / "events.ndjson")]
    run = subprocess.Popen(
        [sys.executable, "-m", "soundlake.cli.app", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(tmp_path), start_new_session=True,
    )  # fmt: skip
    while not (workers := list_workers(run.pid)):
        assert run.poll() is None
        time.sleep(0.02)
    time.sleep(wait_seconds)
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert b"Traceback" not in errors
    assert b"Process" not in errors
    assert list(tmp_path.glob("*events*")) == []
    assert not any(is_running(worker) for worker in workers)


def is_running(process: str) -> bool:
    """Whether the process is running, not ended or a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def list_workers(run: int) -> list[str]:
    """The worker processes of the run."""
    children = Path(f"/proc/{run}/task/{run}/children").read_text().split()
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
