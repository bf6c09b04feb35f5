"""Recommendations through the whole pipeline (log, sink, bronze, silver, gold), compared with held-out pairs of real listeners."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

SOUNDLAKE = Path(sys.executable).with_name("soundlake")
AT_LEAST = {"lastfm-hetrec2k/split": 0.185, "lastfm-hetrec2k/split-by-time": 0.072, "lastfm-tracks/split": 0.31}
MOST_KIBIBYTES = 8 * 2**20


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("split", AT_LEAST)
def test_ten_recommendations_a_listener_find_what_was_held_out(split, shared, tmp_path):
    judge, folder = shared / "tools" / "rec_eval.py", shared / "data" / split
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    events, exported = tmp_path / "events.parquet", tmp_path / "recommendations.parquet"
    run(tmp_path, sys.executable, judge, "events", "--split", folder, "--out", events)
    report = json.loads(run(tmp_path, SOUNDLAKE, "import", "events", events, "--json"))
    assert report["rows_read"] == report["rows_stored"] > 0
    run(tmp_path, SOUNDLAKE, "transform", "--json")
    with duckdb.connect(str(tmp_path / "home" / "warehouse" / "snapshots" / "current.duckdb"), read_only=True) as snapshot:
        snapshot.execute("copy gold.user_recommendations to $file (format parquet)", {"file": str(exported)})
        (short,) = snapshot.execute(
            "select count(*) from (select user_id from gold.user_recommendations group by user_id having count(*) <> 10)"
        ).fetchone()
    answer = run(
        tmp_path, sys.executable, judge, "score", "--strict", "--json", "--recs", exported, "--item-col", "track_id", "--split", folder
    )
    found = json.loads(answer)
    assert found["ndcg@10"] >= AT_LEAST[split]
    assert found["users_with_recs"] == found["users"]
    assert short == 0


def run(folder, *command):
    """Returns the standard output of the command. Fails if it, or a process it started, used more than 8 GiB of memory."""
    environment = os.environ | {"SOUNDLAKE_HOME": str(folder / "home")}
    with (folder / "printed").open("w+") as printed, (folder / "complaints").open("w+") as complaints:
        process = subprocess.Popen([str(part) for part in command], stdout=printed, stderr=complaints, env=environment, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        answer, complaint = (file.seek(0) or file.read() for file in (printed, complaints))
    assert process.returncode == 0, answer + complaint
    assert usage.ru_maxrss <= MOST_KIBIBYTES
    return answer
