"""`soundlake check` on a damaged deployment: what it reports, its exit code, and the command that repairs a snapshot."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from soundlake.cli.app import app
from soundlake.reconciliation.silver_vs_gold import check_gold

SOUNDLAKE = Path(sys.executable).with_name("soundlake")


def run(home, *arguments):
    environment = os.environ | {"SOUNDLAKE_HOME": str(home), "COLUMNS": "200"}
    return subprocess.run([SOUNDLAKE, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    home = tmp_path_factory.mktemp("whole")
    done = run(home, "demo", "--once", "--json", "--listeners", "40", "--days", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    return home


@pytest.fixture
def home(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "home", symlinks=True)


@pytest.fixture(scope="module")
def gold(whole, tmp_path_factory):
    copy = shutil.copy(snapshot_of(whole), tmp_path_factory.mktemp("gold") / "copy.duckdb")
    with duckdb.connect(str(copy)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def snapshot_of(home):
    """The snapshot's file, writable so that a test can damage it."""
    path = (home / "warehouse" / "snapshots" / "current.duckdb").resolve()
    assert path.is_relative_to(home)
    path.chmod(0o644)
    return path


def failed_checks(home):
    """The failed checks, by the command in this process."""
    done = CliRunner().invoke(app, ["check", "--json"], env={"SOUNDLAKE_HOME": str(home)})
    report = json.loads(done.stdout)
    assert done.exit_code == (0 if report["ok"] else 3), done.output
    return {check["name"] for check in report["checks"] if not check["ok"]}


def test_a_new_deployment_has_no_failed_checks(home):
    assert failed_checks(home) == set()


def test_rows_deleted_from_bronze_are_missing_compared_with_the_log_and_with_silver(home):
    DeltaTable(str(home / "lake" / "bronze" / "plays")).delete("_offset % 7 = 3")
    assert failed_checks(home) == {"user_plays: log = bronze + rejected", "bronze = silver + repeats + superseded + rejected"}


def test_a_doubled_row_does_not_hide_a_missing_one(home):
    table = DeltaTable(str(home / "lake" / "bronze" / "plays"))
    plays = table.to_pyarrow_table()
    offsets = plays["_offset"].to_pylist()
    table.delete(f"_partition = {plays['_partition'][0].as_py()} and _offset = {offsets[0]}")
    rest = table.to_pyarrow_table()
    write_deltalake(table, rest.slice(0, 1), mode="append", partition_by=table.metadata().partition_columns)
    assert failed_checks(home) >= {"user_plays: log = bronze + rejected", "no record is stored twice"}


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("update gold.user_daily_listening set heard_ms = heard_ms + 1 where total_plays > 0", "user_daily_listening"),
        ("delete from gold.track_popularity where play_count = 1", "track_popularity"),
        ("update gold.artist_stats set play_count = play_count * 2", "artist_stats"),
        ("update gold.device_usage set plays = 0", "device_usage"),
        ("insert into gold.hourly_activity select * from gold.hourly_activity limit 1", "hourly_activity"),
        ("delete from gold.listening_sessions where plays_started = 1", "listening_sessions"),
        ("update gold.skip_rates set skip_rate = 0.123", "skip_rates"),
        ("update gold.user_recommendations set rank = 1", "ranked from 1 to 10"),
        (
            """insert into gold.user_recommendations by name
               select user_id, min(track_id) as track_id, 11 as rank from silver.silver_plays where is_listen group by all""",
            "never listened to",
        ),
    ],
    ids=lambda value: value if " " not in value else "",
)
def test_gold_that_differs_from_silver_is_named(gold, damage, named):
    gold.execute("begin")
    gold.execute(damage)
    failed = [check.name for check in check_gold(gold) if not check.ok]
    gold.execute("rollback")
    assert any(named in name for name in failed)
    assert all(check.ok for check in check_gold(gold))


def test_damaged_gold_ends_the_command_with_3_and_a_message(home):
    with duckdb.connect(str(snapshot_of(home))) as connection:
        connection.execute("update gold.device_usage set plays = 0")
    assert failed_checks(home) == {"device_usage = recomputed from silver"}
    done = run(home, "check")
    assert done.returncode == 3
    assert "FAILED: expected 0, found" in done.stdout


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"no database"), Path.unlink], ids=["overwritten", "deleted"])
def test_a_damaged_snapshot_is_named_and_transform_publishes_it_again(home, damage):
    damage(snapshot_of(home))
    done = run(home, "check")
    assert done.returncode in {1, 3}
    assert "snapshot" in done.stderr
    assert "soundlake transform" in done.stderr
    assert run(home, "transform").returncode == 0
    assert failed_checks(home) == set()


def test_a_snapshot_open_for_writing_elsewhere_is_locked_not_damaged(home):
    writer = "import duckdb, sys; connection = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", writer, str(snapshot_of(home))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        done = run(home, "check")
        assert done.returncode == 1
        assert "another process has the snapshot open for writing" in done.stderr
        assert "damaged" not in done.stderr
        assert "duckdb -readonly" in done.stderr
        assert run(home, "transform").returncode == 0  # publishes the build again, as a new file
        assert failed_checks(home) == set()
        other.communicate()
