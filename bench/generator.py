"""Speed of the generator, compared with encoding alone and with common approaches; prints one JSON line.

    python bench/generator.py [--listeners 1700] [--days 12] [--pairs 3] [--folder DIR]

All fields, full behaviour, written to a file. On one core, in pairs A B A B, as events per second of CPU time (`taskset -c 0`):
`parquet` (zstd), `ndjson`, and for comparison `encoding_alone`: the same rows, already generated, written as NDJSON; `plain_loop`
(usual/loop.py): the same steps in a plain Python event loop, one dictionary per event; `faker` (usual/fake.py): each field from Faker.
The output that was timed is read back and checked. A first round is a warm-up: on a virtual machine the first use of a memory page costs
the kernel many times as much as later uses.

`--processes`: wall-clock time of one process and of two, in pairs, after start-up (needs two cores).
`--memory`: the largest resident size of a run of three million events for a thousand to ten million listeners.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "1"

import pyarrow as pa
import pyarrow.parquet as pq

from soundlake.generator import GeneratorConfig, World, make_world
from soundlake.generator.output.event_files import EventFile
from soundlake.generator.output.worker_pool import make_tables, write_chunks
from usual.fake import write_fakes
from usual.loop import TrackLists, write_loop

pa.set_cpu_count(1)
TARGETS = {"parquet": 400_000, "ndjson": 200_000, "ndjson_to_encoding_alone": 0.4, "two_processes": 1.6, "memory_mb": 2_048}
LOOP_LISTENERS, LOOP_EVENTS, FAKER_EVENTS = 500, 60_000, 3_000
MEMORY_LISTENERS, MEMORY_EVENTS = (1_000, 100_000, 10_000_000), 3_000_000
WARM_UP_CHUNKS, TIMED_CHUNKS = 5, 16
"""Chunks (one day of 8,000 listeners each) before the measurement, which excludes the start of processes, and in it."""


def measure(run: Callable[[], int]) -> float:
    """Events per second of processor time."""
    started = time.process_time()
    events = run()
    return events / (time.process_time() - started)


def write_world(world: World, target: Path, processes: int = 1) -> int:
    """Generate and write all events; their number."""
    chunks, count = world.list_chunks(), 0
    with EventFile(str(target)) as file:
        if file.chunk_writer is not None:
            return sum(part.by_type.total() for part in write_chunks(world, chunks, file.chunk_writer, processes))
        for events in make_tables(world, chunks, processes):
            file.write(events)
            count += len(events)
    return count


def write_tables(tables: list[pa.Table], target: Path) -> int:
    """Write tables that are already generated; the number of events."""
    with EventFile(str(target)) as file:
        for events in tables:
            file.write(events)
    return sum(map(len, tables))


def check(world: World, parquet: Path, ndjson: Path) -> bool:
    """Whether the timed output equals the generated events, in both formats."""
    expected = pa.concat_tables(world.make_events(chunk) for chunk in world.list_chunks()).combine_chunks()
    lines = ndjson.read_bytes().splitlines()
    step = max(1, len(lines) // 1_000)
    same_ids = [json.loads(line)["event_id"] for line in lines[::step]] == expected["event_id"].to_pylist()[::step]
    return bool(pq.read_table(parquet).combine_chunks().equals(expected)) and same_ids and len(lines) == len(expected)


def compare(rates: list[float], others: list[float]) -> dict[str, float]:
    """The ratio of the pairs: median, minimum, maximum."""
    pairs = [a / b for a, b in zip(rates, others, strict=True)]
    return {"median": round(statistics.median(pairs), 3), "min": round(min(pairs), 3), "max": round(max(pairs), 3)}


def measure_one_core(world: World, place: Path, pairs: int) -> dict[str, object]:
    """Both formats, compared with encoding alone, a plain loop and Faker."""
    tables, lists = list(make_tables(world, world.list_chunks())), TrackLists(world.catalogue)
    runs: dict[str, Callable[[], int]] = {
        "parquet": lambda: write_world(world, place / "made.parquet"),
        "ndjson": lambda: write_world(world, place / "made.ndjson"),
        "encoding_alone": lambda: write_tables(tables, place / "encoded.ndjson"),
        "plain_loop": lambda: write_loop(lists, LOOP_LISTENERS, LOOP_EVENTS, place / "looped.ndjson"),
        "faker": lambda: write_fakes(FAKER_EVENTS, place / "faked.ndjson"),
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(1 + pairs):
        for name, run in runs.items():
            rate = measure(run)
            if number:
                rates[name].append(rate)
    return {
        "events": sum(map(len, tables)),
        "events_per_second": {name: round(statistics.median(values)) for name, values in rates.items()},
        **{f"ndjson_to_{name}": compare(rates["ndjson"], rates[name]) for name in ("encoding_alone", "plain_loop", "faker")},
        "correct": check(world, place / "made.parquet", place / "made.ndjson"),
    }


def measure_processes(world: World, place: Path, pairs: int) -> dict[str, object]:
    """Two processes compared with one, by the wall clock, over the chunks after the first few."""
    speed: dict[str, dict[int, list[float]]] = {"ndjson": {1: [], 2: []}, "parquet": {1: [], 2: []}}
    for _ in range(pairs):
        for form, of_processes in speed.items():
            for processes, rates in of_processes.items():
                rates.append(_time_chunks(world, place / f"made.{form}", processes))
    return {f"{form}_two_processes_to_one": compare(rates[2], rates[1]) for form, rates in speed.items()}


def _time_chunks(world: World, target: Path, processes: int) -> float:
    """Events per second of wall-clock time."""
    with EventFile(str(target)) as file:
        counts = _write_chunks(world, file, processes)
        for _ in islice(counts, WARM_UP_CHUNKS):
            pass
        started = time.perf_counter()
        return sum(counts) / (time.perf_counter() - started)


def _write_chunks(world: World, file: EventFile, processes: int) -> Iterator[int]:
    """The number of events of each chunk, as it is written."""
    if file.chunk_writer is not None:
        for count in write_chunks(world, world.list_chunks(), file.chunk_writer, processes):
            yield count.by_type.total()
        return
    for events in make_tables(world, world.list_chunks(), processes):
        file.write(events)
        yield len(events)


def measure_memory(place: Path) -> dict[str, int]:
    """The largest resident size (MB) of complete runs of the command, by number of listeners."""
    sizes = {}
    for listeners in MEMORY_LISTENERS:
        days = max(2, 130_000 // listeners)
        words = f"generate --listeners {listeners} --days {days} --events {MEMORY_EVENTS} --out {place / 'made.parquet'}".split()
        process = subprocess.Popen([sys.executable, "-m", "soundlake.cli.app", *words])
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(words)}: ended with {status}")
        sizes[f"{listeners}"] = used.ru_maxrss // 1_024
    return sizes


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listeners", type=int, default=1_700)
    parser.add_argument("--days", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--processes", action="store_true")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        place = Path(folder)
        if options.memory:
            result: dict[str, object] = {"largest_resident_mb": measure_memory(place)}
        elif options.processes:
            result = measure_processes(
                make_world(GeneratorConfig(listeners=8_000, days=WARM_UP_CHUNKS + TIMED_CHUNKS)), place, options.pairs
            )
        else:
            world = make_world(GeneratorConfig(listeners=options.listeners, days=options.days))
            result = measure_one_core(world, place, options.pairs)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024
    print(json.dumps({**result, "targets": TARGETS, "own_resident_mb": used}))


if __name__ == "__main__":
    main()
