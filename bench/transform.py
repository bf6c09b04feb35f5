"""An incremental build against a full one: the newest 1 % of events by time arrive in one batch, a tenth of it up to 7 days late.

Bronze is written directly, in columns. Timed are an empty build (a batch without a row), the incremental build, and a full refresh on the
same bronze, each with copies to the lake and the published snapshot. The time of the empty build is subtracted from both, and so are the
models tagged `recommendations`, which are always rebuilt and reported separately. The output is checked: the incremental build has the same
rows as the full one. Progress on stderr, one JSON line on stdout; the aim is a ratio of at most 0.15 at 5 million events.

    python bench/transform.py [--events 5000000] [--listeners EVENTS/100] [--tracks 25000] [--without-recommendations] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.warehouse_builder import BronzeBuilder, complete_columns
from tests.warehouse_tables import digest_tables

from soundlake.warehouse import TransformReport, Warehouse

END = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 60
LATE_DAYS = 7
ROWS_A_BATCH = 250_000
PROJECT = Path(__file__).parents[1] / "dbt"
APART = {path.stem for path in PROJECT.glob("models/**/*.sql") if "tags=['recommendations']" in path.read_text()}


@dataclass(frozen=True)
class Timing:
    """The seconds of one build; `apart` is the part of `wall` spent in the models of the recommendations."""

    wall: float
    cpu: float
    apart: float
    models: dict[str, float]

    def describe(self) -> dict[str, object]:
        """The seconds, and those of the slowest models."""
        slowest = dict(sorted(self.models.items(), key=lambda item: -item[1])[:25])
        return {"wall": round(self.wall, 2), "cpu": round(self.cpu, 2), "recommendations": round(self.apart, 2), "models": slowest}


def make_plays(count: int, listeners: int, tracks: int, seed: int) -> pa.Table:
    """Plays of listeners over a catalogue, both with a long tail, in order of time."""
    chance = np.random.default_rng(seed)
    moments = np.sort(chance.integers(0, DAYS * 86_400_000_000, count)) + int((END - timedelta(days=DAYS)).timestamp() * 1_000_000)
    track = (tracks * chance.power(0.35, count)).astype(np.int64)
    duration = 120_000 + (track * 7919) % 240_000
    heard = np.where(chance.random(count) < 0.75, duration, (duration * chance.random(count)).astype(np.int64))
    return complete_columns(
        {
            "event_id": make_ids(count, chance),
            "event_type": pa.repeat("play", count),
            "user_id": make_names("listener-", (listeners * chance.power(0.8, count)).astype(np.int64)),
            "played_at": pa.array(moments, pa.timestamp("us", "UTC")),
            "content_type": pa.repeat("track", count),
            "track_id": make_names("track-", track),
            "track_name": make_names("Track ", track),
            "artist_id": make_names("artist-", track % 4000),
            "artist_name": make_names("Artist ", track % 4000),
            "album_name": make_names("Album ", track % 9000),
            "duration_ms": pa.array(duration),
            "ms_played": pa.array(heard),
            "is_skipped": pa.array(heard < duration),
            "device_type": choose(["mobile", "desktop", "speaker", "car"], count, chance),
            "platform": pa.repeat("ios", count),
            "country": choose(["DE", "US", "BR", "JP"], count, chance),
            "source": pa.repeat("generator", count),
            "produced_at": pa.array(moments + 1_000_000, pa.timestamp("us", "UTC")),
        }
    )


def make_ids(count: int, chance: np.random.Generator) -> pa.Array:
    """Random UUIDs."""
    text = chance.bytes(16 * count).hex()
    parts = (text[begin : begin + 32] for begin in range(0, len(text), 32))
    return pa.array([f"{part[:8]}-{part[8:12]}-{part[12:16]}-{part[16:20]}-{part[20:]}" for part in parts])


def make_names(prefix: str, numbers: np.ndarray) -> pa.Array:
    """Names that end with these numbers."""
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def choose(values: list[str], count: int, chance: np.random.Generator) -> pa.Array:
    """Uniform random values."""
    return pa.array(np.array(values)[chance.integers(0, len(values), count)])


def split_newest(plays: pa.Table, share: float, seed: int) -> tuple[pa.Table, pa.Table]:
    """All but the newest share, and that share. A tenth of it happened up to 7 days earlier and arrives late."""
    chance = np.random.default_rng(seed)
    new = int(len(plays) * share)
    late, recent = new // 10, new - new // 10
    begin = int(len(plays) * (1 - LATE_DAYS / DAYS))
    is_new = np.zeros(len(plays), bool)
    is_new[len(plays) - recent :] = True
    is_new[chance.choice(np.arange(begin, len(plays) - recent), late, replace=False)] = True
    return plays.filter(pa.array(~is_new)), plays.filter(pa.array(is_new))


def time_build(warehouse: Warehouse, name: str, *, full_refresh: bool = False) -> Timing:
    """Build once, and write its time to stderr."""
    wall, cpu = time.monotonic(), read_cpu_seconds()
    report: TransformReport = warehouse.transform(full_refresh=full_refresh)
    wall, cpu = time.monotonic() - wall, read_cpu_seconds() - cpu
    apart = sum(seconds for model, seconds in report.seconds_by_model.items() if model in APART)
    print(f"{name}: {wall:.1f} s, {cpu:.1f} s of CPU, {apart:.1f} s of it recommendations", file=sys.stderr, flush=True)
    return Timing(wall, cpu, apart, report.seconds_by_model)


def read_cpu_seconds() -> float:
    """Seconds of CPU of this process and its children, dbt among them. Linux only."""
    children = Path("/proc/self/task").glob("*/children")
    pids = [pid for path in children for pid in path.read_text().split()]
    ticks = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13] for pid in pids]
    return time.process_time() + sum(int(user) + int(system) for user, system in ticks) / 100


def measure(bronze: BronzeBuilder, warehouse: Warehouse, plays: pa.Table) -> dict[str, object]:
    """Build the old rows, then nothing, then the newest rows, then everything; compare the last two builds row for row."""
    old, new = split_newest(plays, 0.01, seed=2)
    for begin in range(0, len(old), ROWS_A_BATCH):
        bronze.append_table("plays", old.slice(begin, ROWS_A_BATCH))
    time_build(warehouse, "first build")
    bronze.append("plays", [])
    empty = time_build(warehouse, "empty build")
    bronze.append_table("plays", new)
    newest = time_build(warehouse, "incremental build")
    incremental = digest_tables(warehouse.folder)
    full = time_build(warehouse, "full refresh", full_refresh=True)
    expected = digest_tables(warehouse.folder)
    differing = sorted(name for name in expected if incremental.get(name) != expected[name])
    assert not differing, f"the incremental build differs from the full one in {differing}"
    assert expected["silver_plays"][0] == len(plays)
    return {
        "ratio": round(subtract(newest, empty) / subtract(full, empty), 3),
        "ratio_with_recommendations": round((newest.wall - empty.wall) / (full.wall - empty.wall), 3),
        "full": full.describe(), "incremental": newest.describe(), "empty": empty.describe(),
        "tables_compared": len(expected), "rows_compared": sum(rows for rows, _ in expected.values()),
    }  # fmt: skip


def subtract(build: Timing, empty: Timing) -> float:
    """The time of the build without that of an empty one and without recommendations."""
    return (build.wall - build.apart) - (empty.wall - empty.apart)


def copy_project(folder: Path, left_out: set[str]) -> Path:
    """A copy of the dbt project, without these models and without its tests; later edits do not affect the run."""
    unwanted = ["tests", *(f"{name}.*" for name in left_out)]
    return Path(shutil.copytree(PROJECT, folder / "project", ignore=shutil.ignore_patterns(*unwanted), dirs_exist_ok=True))


def main() -> None:
    """Write bronze, measure, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--listeners", type=int)
    parser.add_argument("--tracks", type=int, default=25_000)
    parser.add_argument("--without-recommendations", action="store_true", help="leave out the models of the recommendations: a quicker run")
    parser.add_argument("--folder", type=Path, help="working folder, kept with its contents")
    options = parser.parse_args()
    listeners = options.listeners or max(1, options.events // 100)
    plays = make_plays(options.events, listeners, options.tracks, seed=1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        bronze = BronzeBuilder(folder / "lake")
        project = copy_project(folder, APART if options.without_recommendations else set())
        with Warehouse(folder / "warehouse", bronze, project=project) as warehouse:
            figures = measure(bronze, warehouse, plays)
    print(json.dumps({"events": options.events, "listeners": listeners, **figures}))


if __name__ == "__main__":
    main()
