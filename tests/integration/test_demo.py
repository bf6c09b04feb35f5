"""The demo as a user runs it: one command builds everything, a second run resumes, and all counts match."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import duckdb
import pytest
from deltalake import DeltaTable

SMALL = ("--listeners", "40", "--days", "6")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("demo-home")


@pytest.fixture(scope="module")
def soundlake(home):
    """Runs `soundlake …` in the module's home; gives exit code, standard output and standard error."""

    def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "soundlake.cli.app", *arguments],
            env={**os.environ, "SOUNDLAKE_HOME": str(home), **environment},
            capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="module")
def first_run(soundlake):
    code, out, err = soundlake("demo", "--once", "--json", *SMALL)
    assert code == 0, err
    return json.loads(out)


def test_one_command_builds_everything(first_run):
    assert first_run["events_published"] > 1_000
    assert 20 <= first_run["counts"]["listeners"] <= 40  # some do not listen in these days
    assert first_run["counts"]["recommendations"] == 10 * first_run["counts"]["listeners"]


def test_all_counts_match_afterwards(first_run, soundlake):
    code, out, err = soundlake("check", "--json")
    report = json.loads(out)
    assert code == 0, err
    assert report["ok"]
    bronze = next(check for check in report["checks"] if check["name"].startswith("bronze = silver"))
    assert bronze["expected"] == first_run["events_published"]


def test_a_second_run_publishes_and_builds_nothing(first_run, soundlake):
    code, out, err = soundlake("demo", "--once", "--json")
    again = json.loads(out)
    assert code == 0, err
    assert again["events_published"] == 0
    assert not again["full_refresh"]
    assert (again["snapshot"], again["counts"]) == (first_run["snapshot"], first_run["counts"])


def test_other_options_in_the_same_home_are_refused(first_run, soundlake):
    code, _, err = soundlake("demo", "--once", "--listeners", "41")
    assert code == 2
    assert "--listeners" in err
    assert "SOUNDLAKE_HOME" in err
    assert "Traceback" not in err


def test_the_demo_runs_live_events_and_a_dashboard_until_it_is_stopped(first_run, home):
    process = subprocess.Popen(
        [sys.executable, "-m", "soundlake.cli.app", "demo"],
        env={**os.environ, "SOUNDLAKE_HOME": str(home), "SOUNDLAKE_TRANSFORM_EVERY_SECONDS": "5", "SPOTIFY_CLIENT_ID": ""},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        address = next(line.split()[-1] for line in process.stderr if line.startswith("dashboard: "))
        assert wait_until(lambda: answers(address), 180), "the dashboard does not answer"
        snapshot = home / "warehouse" / "snapshots" / "current.duckdb"
        assert wait_until(lambda: count_plays(snapshot, "fake-01") >= 50, 120), "no plays of the fake Spotify's listener"
        state = home / "demo.json"
        assert wait_until(lambda: json.loads(state.read_text())["live_until"] is not None, 180), "no live events"
        before = snapshot.readlink()
        assert wait_until(lambda: snapshot.readlink() != before, 240), "gold is not refreshed"
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert not answers(address)


def test_all_counts_match_after_live_events(first_run, soundlake):
    soundlake("sink", "--until-drained")
    code, out, _ = soundlake("check", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["freshness"]["records_waiting_in_log"] == 0
    stored = next(check["parts"]["bronze"] for check in report["checks"] if check["name"].startswith("user_plays"))
    assert stored > first_run["counts"]["plays"]


def test_a_row_deleted_from_bronze_is_found(first_run, soundlake, home):
    table = DeltaTable(home / "lake" / "bronze" / "likes")
    offset = table.to_pyarrow_table(columns=["_offset"])["_offset"][0].as_py()
    table.delete(f"_offset = {offset}")
    code, out, _ = soundlake("check", "--json")
    wrong = [check["name"] for check in json.loads(out)["checks"] if not check["ok"]]
    assert code == 3
    assert "user_likes: log = bronze + rejected" in wrong


def count_plays(snapshot, listener: str) -> int:
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        return connection.execute("select count(*) from silver.silver_plays where user_id = ?", [listener]).fetchone()[0]


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_until(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.5)
    return False
