"""How long the commit of a live batch takes as commits accumulate, with compaction of past hours beside it, and without.

Two tables of one lake: ours (DeltaBronzeTable and Lake.compact, as in service) gets all commits; the plain one (write_deltalake on one
handle, as its documentation shows) gets every tenth of the first ones. Batches are two seconds of event time apart. The timed table is
checked: rows, batch numbers, positions, files. Prints one JSON line.

    python bench/lake.py [--commits 10000] [--rows 200] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from soundlake.contract import BRONZE_SCHEMA
from soundlake.errors import PositionMoved
from soundlake.lake import NO_POSITION, Lake, PositionMove, make_position_app_id
from soundlake.settings import Address

BEGIN = datetime(2026, 1, 31, 20, tzinfo=UTC)
SECONDS_APART = 2
COMPACT_EVERY_COMMITS = 300  # `soundlake sink` compacts every ten minutes
APP_ID = make_position_app_id("bench", "user_plays", 0)
ROWS = pa.schema([field for field in BRONZE_SCHEMA if field.name != "_batch"])


def make_rows(number: int, count: int, rng: np.random.Generator) -> pa.Table:
    """One live batch: plays within two seconds, with the columns that the generator fills."""
    begin = int((BEGIN + timedelta(seconds=number * SECONDS_APART)).timestamp() * 1_000_000)
    played_at = pa.array(begin + np.sort(rng.integers(0, SECONDS_APART * 1_000_000, count))).cast(pa.timestamp("us", tz="UTC"))
    texts = {"user_id": 5_000, "track_id": 20_000, "track_name": 20_000, "artist_name": 3_000, "album_name": 8_000, "session_id": 9_000}
    columns = {name: pa.array([f"{name} {n:06d}" for n in rng.integers(0, size, count)]) for name, size in texts.items()}
    columns |= {
        "event_id": pa.array([f"{number:08x}-{n:04x}-4000-8000-{number:012x}" for n in range(count)]),
        "event_type": pa.repeat("play", count),
        "played_at": played_at,
        "produced_at": played_at,
        "_ingested_at": played_at,
        "duration_ms": pa.array(rng.integers(60_000, 400_000, count)),
        "ms_played": pa.array(rng.integers(0, 400_000, count)),
        "is_skipped": pa.array(rng.integers(0, 2, count).astype(bool)),
        "device_type": pa.repeat("mobile", count),
        "source": pa.repeat("generator", count),
        "_broker": pa.repeat("bench", count),
        "_topic": pa.repeat("user_plays", count),
        "_partition": pa.array(np.zeros(count, np.int64)),
        "_offset": pa.array(np.arange(number * count, (number + 1) * count)),
    }
    return pa.table([columns.get(field.name, pa.nulls(count, field.type)) for field in ROWS], schema=ROWS)


def time_bronze_table(lake: Lake, commits: int, count: int) -> tuple[np.ndarray, list[float]]:
    """Milliseconds of each commit, and seconds of each compaction that ran at the same time."""
    table, rng = lake.open_table("plays"), np.random.default_rng(1)
    times_ms, compactions, running = np.zeros(commits), [], threading.Thread()

    def compact(now: datetime) -> None:
        begin = time.perf_counter()
        lake.compact(now)
        compactions.append(time.perf_counter() - begin)

    last = NO_POSITION
    for number in range(commits):
        rows = make_rows(number, count, rng)
        begin = time.perf_counter()
        table.append(rows, [PositionMove(APP_ID, last, last + count)])
        times_ms[number] = (time.perf_counter() - begin) * 1_000
        last += count
        if number % COMPACT_EVERY_COMMITS == COMPACT_EVERY_COMMITS - 1 and not running.is_alive():
            running = threading.Thread(target=compact, args=(BEGIN + timedelta(seconds=number * SECONDS_APART),))
            running.start()
    if running.ident is not None:
        running.join()
    return times_ms, compactions


def time_plain(uri: str, commits: int, count: int) -> np.ndarray:
    """The same batches appended as the documentation of deltalake shows."""
    rng, times_ms, table = np.random.default_rng(1), np.zeros(commits), None
    for number in range(commits):
        rows = make_rows(number, count, rng)
        hours = rows["played_at"].to_pylist()
        for part in ("%Y", "%m", "%d", "%H"):
            rows = rows.append_column(part[1], pa.array([hour.strftime(part) for hour in hours]))
        begin = time.perf_counter()
        write_deltalake(uri if table is None else table, rows, mode="append", partition_by=["Y", "m", "d", "H"])
        times_ms[number] = (time.perf_counter() - begin) * 1_000
        table = table or DeltaTable(uri)
    return times_ms


def check(lake: Lake, commits: int, count: int) -> dict[str, int]:
    """Rows and files of the timed table; raises if a row or a batch is missing or duplicated."""
    rows = lake.read("plays", ["_offset", "_batch"])
    assert np.array_equal(np.sort(rows["_offset"].to_numpy()), np.arange(commits * count))
    assert np.array_equal(np.unique(rows["_batch"].to_numpy()), np.arange(1, commits + 1))
    table = lake.open_table("plays")
    assert table.read_position(APP_ID) == commits * count - 1
    try:
        table.append(ROWS.empty_table(), [PositionMove(APP_ID, 0, 1)])
    except PositionMoved:
        return {"rows": len(rows), "files": len(DeltaTable(lake.find_uri("plays")).file_uris())}
    raise AssertionError("a stale position was accepted")


def describe(times_ms: np.ndarray) -> dict[str, float]:
    """Median, 95th percentile and maximum, in milliseconds."""
    return {
        "p50": round(float(np.median(times_ms)), 1),
        "p95": round(float(np.percentile(times_ms, 95)), 1),
        "max": round(float(times_ms.max()), 1),
    }


def main() -> None:
    """Measure, check and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--commits", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        lake = Lake(Address(f"file://{folder}", "file", path=Path(folder)))
        lake.ensure_tables()
        ours, compactions = time_bronze_table(lake, options.commits, options.rows)
        plain = time_plain(f"{folder}/plain", options.commits // 10, options.rows)
        part = max(options.commits // 10, 1)
        print(json.dumps({
            "benchmark": "lake_commit_ms", "commits": options.commits, "rows_per_commit": options.rows,
            **describe(ours), "first_tenth": describe(ours[:part]), "last_tenth": describe(ours[-part:]),
            "plain_last_tenth": describe(plain[-max(part // 10, 1):]), "plain_commits": part,
            "ratio_p50_last": round(float(np.median(plain[-max(part // 10, 1):]) / np.median(ours[-part:])), 2),
            "compactions": len(compactions), "longest_compaction_seconds": round(max(compactions, default=0.0), 1),
            **check(lake, options.commits, options.rows),
        }))  # fmt: skip


if __name__ == "__main__":
    main()
