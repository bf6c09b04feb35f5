"""Import one table of events in each form (files → log → sink → Delta), beside reading the same file with the usual library.

Prints one JSON line a form: rows a second of the whole import, of a repeated import and of reading alone (json, pandas, pyarrow) with a set
of the ids, in pairs A B A B; peak memory of a process that imports, with a file of the rows and one of four times as many. After each timed
import bronze must hold every event id once.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from uuid import UUID

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from soundlake import wiring
from soundlake.progress import StepList
from soundlake.settings import Settings


def make_table(count: int) -> pa.Table:
    """Ten fields of the contract, the length as Pandas has it where some are unknown: floats with NaN."""
    chance = random.Random(count)
    items = [f"item {int(chance.paretovariate(0.8)) % 25_000}" for _ in range(count)]
    return pa.table({
        "event_id": [str(UUID(int=chance.getrandbits(128))) for _ in range(count)],
        "user_id": [f"user-{chance.randrange(1_000)}" for _ in range(count)], "event_type": ["play"] * count,
        "track_id": items, "track_name": items, "artist_name": items, "album_name": items,
        "duration_ms": [float(chance.randrange(60_000, 400_000)) if chance.random() < 0.99 else None for _ in range(count)],
        "played_at": pa.array(range(1_700_000_000, 1_700_000_000 + count), pa.int64()).cast(pa.timestamp("s", "UTC")),
        "device_type": ["desktop"] * count,
    })  # fmt: skip


def write_parquet(table: pa.Table, path: Path) -> None:
    """Parquet."""
    pq.write_table(table, path)


def write_csv(table: pa.Table, path: Path) -> None:
    """CSV with an index, as Pandas writes it."""
    table.to_pandas().to_csv(path)


def write_ndjson(table: pa.Table, path: Path) -> None:
    """An object a line; nulls as null, times as text."""
    table.to_pandas().to_json(path, orient="records", lines=True, date_format="iso")


def write_array(table: pa.Table, path: Path) -> None:
    """All on one line."""
    table.to_pandas().to_json(path, orient="records", date_format="iso")


FORMS: dict[str, tuple[Callable[[pa.Table, Path], None], Callable[[Path], int]]] = {
    "parquet": (write_parquet, lambda path: len(set(pq.read_table(path)["event_id"].to_pylist()))),
    "csv": (write_csv, lambda path: len(set(pd.read_csv(path)["event_id"]))),
    "ndjson": (write_ndjson, lambda path: len({json.loads(line)["event_id"] for line in path.open()})),
    "array": (write_array, lambda path: len({row["event_id"] for row in json.loads(path.read_text())})),
}
"""How a form is written, and how many different ids the usual library finds in the file."""


def run_import(path: Path, home: Path) -> float:
    """Seconds of one import; every id of the file is in bronze once."""
    settings = Settings(home=home)
    began = time.perf_counter()
    with wiring.open_importer(settings, StepList()) as importer:
        report = importer.import_events([path])
    seconds = time.perf_counter() - began
    ids = wiring.open_lake(settings).read("history", ["event_id"])["event_id"].to_pylist()
    assert len(ids) == len(set(ids)) == report.total.rows_read
    return seconds


def measure_peak(path: Path) -> int:
    """Peak memory in MiB of a process that imports the file into a new home."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, __file__, "--import-alone", path, "--home", home], check=True, capture_output=True, text=True
        )
    return int(done.stdout)


def measure(form: str, folder: Path, rows: int, pairs: int) -> dict[str, object]:
    """One form."""
    write, read = FORMS[form]
    path, larger = folder / form, folder / f"{form}-4"
    write(make_table(rows), path)
    imports, again, alone = [], [], []
    for _ in range(pairs):
        with tempfile.TemporaryDirectory() as home:
            imports.append(run_import(path, Path(home)))
            again.append(run_import(path, Path(home)))
        began = time.perf_counter()
        assert read(path) == rows
        alone.append(time.perf_counter() - began)
    write(make_table(4 * rows), larger)
    ratios = [one / other for one, other in zip(imports, alone, strict=True)]
    return {
        "benchmark": f"import_events_{form}", "rows": rows, "mib": path.stat().st_size >> 20,
        "rows_per_second": round(rows / median(imports)),
        "rows_per_second_again": round(rows / median(again)), "rows_per_second_reading_alone": round(rows / median(alone)),
        "ratio": round(median(ratios), 2), "ratio_min": round(min(ratios), 2), "ratio_max": round(max(ratios), 2), "pairs": pairs,
        "peak_mib": measure_peak(path), "peak_mib_4_times_the_rows": measure_peak(larger),
    }  # fmt: skip


def main() -> None:
    """Measure the forms that are named, else all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forms", nargs="*", metavar="FORM", help=", ".join(FORMS))
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--import-alone", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.import_alone:
        with wiring.open_importer(Settings(home=options.home), StepList()) as importer:
            importer.import_events([options.import_alone])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    with tempfile.TemporaryDirectory() as folder:
        for form in options.forms or FORMS:
            print(json.dumps(measure(form, Path(folder), options.rows, options.pairs)), flush=True)


if __name__ == "__main__":
    main()
