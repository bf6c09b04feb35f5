"""How fast listeners are made, beside encoding alone and the usual ways; prints one JSON line.

    python bench/generator.py [--listeners 1700] [--days 12] [--pairs 3] [--folder DIR]

All fields, full behaviour, written to a file. On one core, in pairs A B A B, as events per second of processor time (`taskset -c 0`):
`parquet` (zstd), `ndjson`, and beside them `encoding_alone`: the same rows, already made, written as NDJSON; `plain_loop` (usual/loop.py):
the same steps in a plain Python event loop, a dictionary an event; `faker` (usual/fake.py): each field from Faker. What was timed is read
back and compared with what was made. A first round is not counted: a page of memory that a virtual machine has never used before costs
its kernel many times what the next use of it does.

`--processes`: seconds of the clock of one process and of two, in pairs, once they run (needs two cores).
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
from usual.loop import Music, write_loop

pa.set_cpu_count(1)
TARGETS = {"parquet": 400_000, "ndjson": 200_000, "ndjson_to_encoding_alone": 0.4, "two_processes": 1.6, "memory_mb": 2_048}
LOOP_LISTENERS, LOOP_EVENTS, FAKER_EVENTS = 500, 60_000, 3_000
MEMORY_LISTENERS, MEMORY_EVENTS = (1_000, 100_000, 10_000_000), 3_000_000
FIRST_STRETCHES, TIMED_STRETCHES = 5, 16
"""Stretches (a day of 8,000 listeners each) before the clock is read, as starting processes is not what is compared; and after."""


def measure(run: Callable[[], int]) -> float:
    """Events per second of processor time."""
    started = time.process_time()
    events = run()
    return events / (time.process_time() - started)


def write_world(world: World, target: Path, processes: int = 1) -> int:
    """Generate and write everything; how many events it was."""
    chunks, count = world.list_chunks(), 0
    with EventFile(str(target)) as file:
        if file.chunk_writer is not None:
            return sum(part.by_type.total() for part in write_chunks(world, chunks, file.chunk_writer, processes))
        for events in make_tables(world, chunks, processes):
            file.write(events)
            count += len(events)
    return count


def write_tables(tables: list[pa.Table], target: Path) -> int:
    """Encoding alone."""
    with EventFile(str(target)) as file:
        for events in tables:
            file.write(events)
    return sum(map(len, tables))


def check(world: World, parquet: Path, ndjson: Path) -> bool:
    """What was timed is what the world tells, in both forms."""
    told = pa.concat_tables(world.make_events(chunk) for chunk in world.list_chunks()).combine_chunks()
    lines = ndjson.read_bytes().splitlines()
    step = max(1, len(lines) // 1_000)
    same_ids = [json.loads(line)["event_id"] for line in lines[::step]] == told["event_id"].to_pylist()[::step]
    return bool(pq.read_table(parquet).combine_chunks().equals(told)) and same_ids and len(lines) == len(told)


def compare(rates: list[float], others: list[float]) -> dict[str, float]:
    """The ratio of pairs: median, smallest, largest."""
    pairs = [a / b for a, b in zip(rates, others, strict=True)]
    return {"median": round(statistics.median(pairs), 3), "min": round(min(pairs), 3), "max": round(max(pairs), 3)}


def measure_one_core(world: World, place: Path, pairs: int) -> dict[str, object]:
    """Our two forms beside encoding alone, a plain loop and Faker."""
    tables, music = list(make_tables(world, world.list_chunks())), Music(world.catalogue)
    runs: dict[str, Callable[[], int]] = {
        "parquet": lambda: write_world(world, place / "made.parquet"),
        "ndjson": lambda: write_world(world, place / "made.ndjson"),
        "encoding_alone": lambda: write_tables(tables, place / "encoded.ndjson"),
        "plain_loop": lambda: write_loop(music, LOOP_LISTENERS, LOOP_EVENTS, place / "looped.ndjson"),
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
    """Two processes to one, by the clock, over the stretches after the first few."""
    speed: dict[str, dict[int, list[float]]] = {"ndjson": {1: [], 2: []}, "parquet": {1: [], 2: []}}
    for _ in range(pairs):
        for form, of_processes in speed.items():
            for processes, rates in of_processes.items():
                rates.append(_time_stretches(world, place / f"made.{form}", processes))
    return {f"{form}_two_processes_to_one": compare(rates[2], rates[1]) for form, rates in speed.items()}


def _time_stretches(world: World, target: Path, processes: int) -> float:
    """Events per second of the clock."""
    with EventFile(str(target)) as file:
        counts = _write_stretches(world, file, processes)
        for _ in islice(counts, FIRST_STRETCHES):
            pass
        started = time.perf_counter()
        return sum(counts) / (time.perf_counter() - started)


def _write_stretches(world: World, file: EventFile, processes: int) -> Iterator[int]:
    """How many events each stretch had, as it is written."""
    if file.chunk_writer is not None:
        for count in write_chunks(world, world.list_chunks(), file.chunk_writer, processes):
            yield count.by_type.total()
        return
    for events in make_tables(world, world.list_chunks(), processes):
        file.write(events)
        yield len(events)


def measure_memory(place: Path) -> dict[str, int]:
    """The largest resident size (MB) of whole runs of the command, by listeners."""
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
                make_world(GeneratorConfig(listeners=8_000, days=FIRST_STRETCHES + TIMED_STRETCHES)), place, options.pairs
            )
        else:
            world = make_world(GeneratorConfig(listeners=options.listeners, days=options.days))
            result = measure_one_core(world, place, options.pairs)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024
    print(json.dumps({**result, "targets": TARGETS, "own_resident_mb": used}))


if __name__ == "__main__":
    main()
