"""Append and fetch of the embedded log compared with plain sqlite3 (executemany, fetchall), in pairs A B A B.

Prints one JSON line; `ratio` is our rate over plain sqlite3's, median of the pairs with minimum and maximum. Both sides are durable: WAL,
synchronous full, one transaction per 10,000 rows. The rows fetched in the timed run are compared with those appended.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

from soundlake.broker import EmbeddedBroker
from soundlake.contract.topics import PLAYS

Rows = list[tuple[bytes, bytes]]
BATCH_ROWS = 10_000
FETCH_ROWS = 50_000


def make_rows(count: int, value_bytes: int, listeners: int) -> Rows:
    """Keys of listeners, and values that are all different and hardly compressible."""
    chance = random.Random(1)
    return [(b"user-%06d" % chance.randrange(listeners), chance.randbytes(value_bytes // 2).hex().encode()) for _ in range(count)]


def run_embedded(folder: Path, rows: Rows) -> tuple[float, float, Rows]:
    """Seconds to append, seconds to fetch as columns, and what was fetched."""
    broker = EmbeddedBroker(folder / "broker.db")
    broker.create_topics([PLAYS], partitions=4)
    keys, values = [key for key, _ in rows], [value for _, value in rows]
    began = time.perf_counter()
    for start in range(0, len(rows), BATCH_ROWS):
        delivery = broker.append(PLAYS.name, keys[start : start + BATCH_ROWS], values[start : start + BATCH_ROWS])
        assert delivery.acknowledged == delivery.count
    appended = time.perf_counter()
    fetched = []
    for partition, held in broker.offsets(PLAYS.name).items():
        offset = held.begin
        while offset < held.end:
            fetched.append(broker.fetch(PLAYS.name, partition, offset, max_records=FETCH_ROWS, max_bytes=1 << 28))
            offset += len(fetched[-1])
    ended = time.perf_counter()
    broker.close()
    found = [pair for records in fetched for pair in zip(records.keys.to_pylist(), records.values.to_pylist(), strict=True)]
    return appended - began, ended - appended, found


def run_plain(folder: Path, rows: Rows) -> tuple[float, float, Rows]:
    """The same with one row a record, in offset order, without partitions, columns or delivery reports."""
    db = sqlite3.connect(folder / "plain.db", isolation_level=None)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.execute("create table records (offset integer primary key, timestamp_ms integer, key blob, value blob)")
    began = time.perf_counter()
    for start in range(0, len(rows), BATCH_ROWS):
        part = rows[start : start + BATCH_ROWS]
        now_ms = time.time_ns() // 1_000_000
        db.execute("begin immediate")
        db.executemany("insert into records values (?, ?, ?, ?)", [(start + n, now_ms, key, value) for n, (key, value) in enumerate(part)])
        db.execute("commit")
    appended = time.perf_counter()
    fetched = []
    for start in range(0, len(rows), FETCH_ROWS):
        fetched += db.execute("select * from records where offset >= ? order by offset limit ?", (start, FETCH_ROWS)).fetchall()
    ended = time.perf_counter()
    db.close()
    return appended - began, ended - appended, [(key, value) for _, _, key, value in fetched]


def measure(side: Callable[[Path, Rows], tuple[float, float, Rows]], rows: Rows) -> tuple[float, ...]:
    """Rows a second appended, fetched, and both in sequence; checks that the fetched rows are the appended ones."""
    with tempfile.TemporaryDirectory() as folder:
        append_seconds, fetch_seconds, found = side(Path(folder), rows)
    assert group_by_key(found) == group_by_key(rows), "the fetched rows are not the appended ones, in the order of each key"
    return tuple(len(rows) / seconds for seconds in (append_seconds, fetch_seconds, append_seconds + fetch_seconds))


def group_by_key(rows: Rows) -> dict[bytes, list[bytes]]:
    """The values of each key in their order."""
    groups: dict[bytes, list[bytes]] = defaultdict(list)
    for key, value in rows:
        groups[key].append(value)
    return groups


def summarize(ours: list[float], plain: list[float]) -> dict[str, float]:
    """Median rates, and the ratio of the pairs."""
    ratios = [a / b for a, b in zip(ours, plain, strict=True)]
    return {
        "per_second": round(median(ours)),
        "plain_per_second": round(median(plain)),
        "ratio": round(median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
    }


def main() -> None:
    """Run the pairs and print the line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=300_000)
    options.add_argument("--bytes", type=int, default=300, help="of a value")
    options.add_argument("--listeners", type=int, default=5_000)
    options.add_argument("--pairs", type=int, default=5)
    chosen = options.parse_args()
    rows = make_rows(chosen.rows, chosen.bytes, chosen.listeners)
    pairs = [(measure(run_embedded, rows), measure(run_plain, rows)) for _ in range(chosen.pairs)]
    result = {
        verb: summarize([ours[place] for ours, _ in pairs], [plain[place] for _, plain in pairs])
        for place, verb in enumerate(("append", "fetch", "both"))
    }
    line = {
        "benchmark": "broker",
        "rows": chosen.rows,
        "value_bytes": chosen.bytes,
        "pairs": chosen.pairs,
        "ratio": result["both"]["ratio"],
    }
    print(json.dumps({**line, **result}))


if __name__ == "__main__":
    main()
