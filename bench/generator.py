"""How fast listeners are made, on one core, beside encoding alone and the usual ways; prints one JSON line.

    python bench/generator.py [--listeners 1700] [--days 8] [--pairs 3] [--folder DIR]

Rates are events per second of processor time, in pairs A B A B. `parquet` and `ndjson`: all fields, full behaviour, written to a file.
`encoding_alone`: the same rows, already made, written as NDJSON. `plain_loop`: the usual event loop in Python with the same steps (who,
which context, which track, skip or not, what next), a dictionary an event, written as NDJSON. `faker`: each field from Faker, where that
is installed. What was timed is read back and compared with what was made.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

os.environ["POLARS_MAX_THREADS"] = "1"

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from soundlake.generator import GeneratorConfig, World, make_world
from soundlake.generator.catalogue import Catalogue
from soundlake.generator.files import EventFile

pa.set_cpu_count(1)
TARGETS = {"parquet": 400_000, "ndjson": 200_000}
LOOP_EVENTS, FAKER_EVENTS = 60_000, 3_000


def measure(run: Callable[[], int]) -> float:
    """Events per second of processor time."""
    started = time.process_time()
    events = run()
    return events / (time.process_time() - started)


def write_world(world: World, target: Path) -> int:
    """Generate and write everything; how many events it was."""
    count = 0
    with EventFile(str(target)) as file:
        for stretch in world.list_stretches():
            events = world.make_events(stretch, is_coded=file.takes_codes)
            file.write(events)
            count += len(events)
    return count


def write_tables(tables: list[pa.Table], target: Path) -> int:
    """Encoding alone."""
    with EventFile(str(target)) as file:
        for events in tables:
            file.write(events)
    return sum(map(len, tables))


def loop_plainly(catalogue: Catalogue, target: Path) -> int:
    """The usual way: one event after another, a dictionary each."""
    random = Random(1)
    names, artists = catalogue.track_name.to_pylist(), catalogue.artist_name.to_pylist()
    weights = np.diff(catalogue.track_reach).cumsum().tolist()
    clock, done = datetime(2026, 1, 1, tzinfo=UTC), 0
    with target.open("w", encoding="utf-8") as file:
        while done < LOOP_EVENTS:
            listener, session = random.randrange(2_000), str(uuid.UUID(int=random.getrandbits(128)))
            clock += timedelta(seconds=random.expovariate(0.2))
            moment, shuffle, reason = clock, random.random() < 0.4, "clickrow"
            for _ in range(1 + int(random.expovariate(0.15))):
                track = random.choices(range(len(names)), cum_weights=weights)[0]
                duration = int(catalogue.track_duration_ms[track])
                skipped = random.random() < 0.2
                played = int(duration * random.random() * 0.3) if skipped else duration
                end = "fwdbtn" if skipped else "trackdone"
                event = {
                    "event_id": str(uuid.UUID(int=random.getrandbits(128))), "event_type": "play", "schema_version": 1,
                    "user_id": f"listener-{listener:06d}", "played_at": moment.isoformat().replace("+00:00", "Z"), "session_id": session,
                    "track_id": f"sl_track_{track:07d}", "track_name": names[track],
                    "artist_name": artists[int(catalogue.track_artist[track])],
                    "duration_ms": duration, "ms_played": played, "reason_start": reason, "reason_end": end, "is_skipped": skipped,
                    "is_shuffle": shuffle, "device_type": random.choice(("mobile", "desktop", "speaker")), "source": "generator",
                }  # fmt: skip
                file.write(json.dumps(event, ensure_ascii=False) + "\n")
                moment += timedelta(milliseconds=played)
                reason, done = end, done + 1
    return done


def ask_faker(target: Path) -> int:
    """The usual script: each field from Faker. Raises ModuleNotFoundError where Faker is not installed."""
    fake = importlib.import_module("faker").Faker()
    fake.seed_instance(1)
    with target.open("w", encoding="utf-8") as file:
        for _ in range(FAKER_EVENTS):
            event = {
                "event_id": fake.uuid4(), "event_type": fake.random_element(("play", "skip", "like")), "user_id": fake.user_name(),
                "track_id": fake.uuid4(), "track_name": fake.sentence(nb_words=3), "artist_name": fake.name(), "album_name": fake.word(),
                "duration_ms": fake.random_int(60_000, 400_000), "played_at": fake.iso8601(), "device_type": fake.word(),
            }  # fmt: skip
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
    return FAKER_EVENTS


def check(world: World, parquet: Path, ndjson: Path) -> bool:
    """What was timed is what the world tells, in both forms."""
    told = pa.concat_tables(world.make_events(stretch) for stretch in world.list_stretches()).combine_chunks()
    lines = ndjson.read_bytes().splitlines()
    ids = [json.loads(line)["event_id"] for line in lines[:: max(1, len(lines) // 1_000)]]
    same_ids = ids == told["event_id"].to_pylist()[:: max(1, len(lines) // 1_000)]
    return bool(pq.read_table(parquet).combine_chunks().equals(told)) and same_ids and len(lines) == len(told)


def summarize(rates: dict[str, list[float]]) -> dict[str, object]:
    """Medians, and the ratios of pairs with their smallest and largest."""

    def compare(name: str, other: str) -> dict[str, float]:
        pairs = [a / b for a, b in zip(rates[name], rates[other], strict=True)]
        return {"median": round(statistics.median(pairs), 3), "min": round(min(pairs), 3), "max": round(max(pairs), 3)}

    return {
        "events_per_second": {name: round(statistics.median(values)) for name, values in rates.items()},
        "ndjson_to_encoding_alone": compare("ndjson", "encoding_alone"),
        "ndjson_to_plain_loop": compare("ndjson", "plain_loop"),
        **({"ndjson_to_faker": compare("ndjson", "faker")} if "faker" in rates else {}),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listeners", type=int, default=1_700)
    parser.add_argument("--days", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    world = make_world(GeneratorConfig(listeners=options.listeners, days=options.days))
    tables = [world.make_events(stretch) for stretch in world.list_stretches()]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        place = Path(folder)
        runs: dict[str, Callable[[], int]] = {
            "parquet": lambda: write_world(world, place / "made.parquet"),
            "ndjson": lambda: write_world(world, place / "made.ndjson"),
            "encoding_alone": lambda: write_tables(tables, place / "encoded.ndjson"),
            "plain_loop": lambda: loop_plainly(world.catalogue, place / "looped.ndjson"),
        }
        if importlib.util.find_spec("faker") is not None:
            runs["faker"] = lambda: ask_faker(place / "faked.ndjson")
        rates: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.pairs):
            for name, run in runs.items():
                rates[name].append(measure(run))
        correct = check(world, place / "made.parquet", place / "made.ndjson")
    print(json.dumps({"events": sum(map(len, tables)), **summarize(rates), "targets": TARGETS, "correct": correct}))


if __name__ == "__main__":
    main()
