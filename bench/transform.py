"""A build of the newest events against a build of all: 5 million events of 50,000 listeners, the newest 1 % by time new, a tenth of it late.

Bronze is made directly, by column. The time of an empty run (dbt's own) is taken off both. Similarity and recommendations may be rebuilt
whole and are told apart. Prints one line of JSON; the aim is a ratio of at most 0.15.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))

from soundlake.warehouse import TransformReport, Warehouse
from tests.warehouse_builder import BronzeBuilder, complete_columns

END = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 60
LATE_DAYS = 7
WHOLE = {"track_similarity", "user_recommendations", "song_neighbours", "baskets", "listener_songs", "songs", "song_popularity", "song_tracks"}


def make_plays(count: int, listeners: int, tracks: int, seed: int) -> pa.Table:
    """Plays of listeners over a catalogue, both with a long tail, in order of time."""
    rng = np.random.default_rng(seed)
    moments = np.sort(rng.integers(0, DAYS * 86_400_000_000, count)) + int((END - timedelta(days=DAYS)).timestamp() * 1_000_000)
    track = (tracks * rng.power(0.35, count)).astype(np.int64)
    duration = 120_000 + (track * 7919) % 240_000
    heard = np.where(rng.random(count) < 0.75, duration, (duration * rng.random(count)).astype(np.int64))
    ids = rng.bytes(16 * count)
    listener = pa.array((listeners * rng.power(0.8, count)).astype(np.int64))

    def name(prefix: str, numbers: np.ndarray | pa.Array) -> pa.Array:
        values = pa.array(numbers) if isinstance(numbers, np.ndarray) else numbers
        return pa.compute.binary_join_element_wise(prefix, values.cast(pa.string()), "")

    return complete_columns({
        "event_id": pa.array([f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in (ids[i : i + 16].hex() for i in range(0, len(ids), 16))]),
        "event_type": pa.repeat("play", count), "user_id": name("listener-", listener), "played_at": pa.array(moments, pa.timestamp("us", "UTC")),
        "content_type": pa.repeat("track", count), "track_id": name("track-", track), "track_name": name("Track ", track),
        "artist_id": name("artist-", track % 4000), "artist_name": name("Artist ", track % 4000), "album_name": name("Album ", track % 9000),
        "duration_ms": pa.array(duration), "ms_played": pa.array(heard), "is_skipped": pa.array(heard < duration),
        "device_type": pa.array(np.array(["mobile", "desktop", "speaker", "car"])[rng.integers(0, 4, count)]),
        "platform": pa.repeat("ios", count), "country": pa.array(np.array(["DE", "US", "BR", "JP"])[rng.integers(0, 4, count)]),
        "source": pa.repeat("generator", count), "produced_at": pa.array(moments + 1_000_000, pa.timestamp("us", "UTC")),
    })  # fmt: skip


def split_newest(plays: pa.Table, share: float, seed: int) -> tuple[pa.Table, pa.Table]:
    """All but the newest share, and that share: a tenth of it happened up to 7 days earlier and arrives only now."""
    rng = np.random.default_rng(seed)
    new = int(len(plays) * share)
    late, recent = new // 10, new - new // 10
    begin = int(len(plays) * (1 - LATE_DAYS / DAYS))
    mask = np.zeros(len(plays), bool)
    mask[len(plays) - recent :] = True
    mask[rng.choice(np.arange(begin, len(plays) - recent), late, replace=False)] = True
    return plays.filter(pa.array(~mask)), plays.filter(pa.array(mask))


def time_models(report: TransformReport) -> tuple[float, float]:
    """Seconds in models: those that must be incremental, and those that may be rebuilt whole."""
    whole = sum(seconds for name, seconds in report.seconds_by_model.items() if name in WHOLE)
    return sum(report.seconds_by_model.values()) - whole, whole


def main() -> None:
    """Build all, then nothing, then the newest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--listeners", type=int, default=50_000)
    parser.add_argument("--tracks", type=int, default=25_000)
    options = parser.parse_args()
    plays = make_plays(options.events, options.listeners, options.tracks, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        bronze = BronzeBuilder(Path(folder) / "lake")
        old, new = split_newest(plays, 0.01, seed=2)
        step = 500_000
        for begin in range(0, len(old), step):
            bronze.append_table("plays", old.slice(begin, step))
        with Warehouse(Path(folder) / "warehouse", bronze) as warehouse:
            print(json.dumps(measure(bronze, warehouse, new, options)))


def measure(bronze: BronzeBuilder, warehouse: Warehouse, new: pa.Table, options: argparse.Namespace) -> dict[str, object]:
    """A full build, an empty one, and one of the newest; wall clock, the empty build's time off both."""
    warehouse.transform()
    full_seconds = time_build(warehouse, full_refresh=True)
    bronze.append("plays", [])
    empty_seconds = time_build(warehouse, full_refresh=False)
    bronze.append_table("plays", new)
    begun = time.monotonic()
    report = warehouse.transform()
    seconds = time.monotonic() - begun
    ratio = (seconds - empty_seconds[0]) / (full_seconds[0] - empty_seconds[0])
    with duckdb.connect(str(warehouse.folder / "build.duckdb"), read_only=True) as connection:
        stored = connection.execute("select count(*) from silver.silver_plays").fetchone()
    assert stored == (options.events,)
    return {
        "events": options.events, "listeners": options.listeners, "ratio": round(ratio, 3), "full_seconds": full_seconds,
        "incremental_seconds": (round(seconds, 2), *map(lambda x: round(x, 2), time_models(report))), "empty_seconds": empty_seconds,
        "slowest_incremental": sorted(report.seconds_by_model.items(), key=lambda item: -item[1])[:12],
    }  # fmt: skip


def time_build(warehouse: Warehouse, *, full_refresh: bool) -> tuple[float, float, float]:
    """Wall clock of a build, its models that must be incremental, and those that may be whole."""
    begun = time.monotonic()
    report = warehouse.transform(full_refresh=full_refresh)
    return round(time.monotonic() - begun, 2), *(round(part, 2) for part in time_models(report))


if __name__ == "__main__":
    main()
