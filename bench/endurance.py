"""Can the streaming job run for hours? Samples its memory, files, state and batch times, and compares them over time; JSON lines.

    python bench/endurance.py [--minutes 120] [--rate 150] [--repeat-minutes 1]

All three queries run at a modest rate; repeats are recognised for so short a time that the state turns over many times. The last line
compares the quarters of the run: a value that is larger in the last quarter than in both of the first half, by more than a quarter and by
more than the noise, is unbounded growth, and the program fails. Events are of all types, some are sent twice, some are invalid. At the end
each must be in its table once.

Java's memory is reported in two parts, since a heap may fill up to its limit without an error: `java_heap_used_mb`, whose minimum in a
quarter counts (what a collection leaves), and `java_native_mb`, all that is resident outside the heap. The job collects at least every ten
minutes and shuffle files are deleted then, so their minimum counts too: a quarter shorter than that says nothing about either.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from speed_layer.feed import Feed
from speed_layer.stack import SpeedLayer, check_tables, start_speed_layer, wait_until_drained

SAMPLE_SECONDS = 30
GROWTH = 1.25
NOISE = {"java_native_mb": 50, "java_heap_used_mb": 50, "python_mb": 20, "redis_mb": 20, "batch_seconds": 0.5, "scratch_files": 50}
"""Difference between two samples that is no growth; 10 of its unit where nothing is listed. Scratch files grow by one a second, and a
sample is taken up to half a minute after they were deleted."""
NOT_COMPARED = ("lake_files", "log_versions", "java_mb", "java_heap_mb")
"""Reported only: the first two grow with the stored events, a heap up to Java's own limit."""
LEFT_BY_COLLECTION = ("java_heap_used_mb", "scratch_files", "scratch_kb")
"""Grows until Java collects: the minimum of a quarter counts."""
HEAP_SPACE = re.compile(r"total \d+K, used (?P<used>\d+)K +\[(?P<low>0x[0-9a-f]+), .*?(?P<end>0x[0-9a-f]+)\)")
"""A generation, or the heap as a whole, as printed by `jcmd GC.heap_info`."""


def read_metrics(port: int) -> dict[tuple[str, str], float]:
    """The metrics of the job's queries, by name and query."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {
        (sample.name, sample.labels["query"]): sample.value for family in families for sample in family.samples if "query" in sample.labels
    }


def measure_folder(folder: Path) -> tuple[int, int]:
    """Files in a folder and all below it, and their kilobytes."""
    sizes = []
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(Path(path, name).stat().st_size)
            except FileNotFoundError:  # deleted by Spark meanwhile
                continue
    return len(sizes), sum(sizes) // 1_024


def read_java(java: psutil.Process) -> dict[str, float]:
    """Java's megabytes: used in the heap now, resident for the heap, resident outside it."""
    printed = subprocess.run(["jcmd", str(java.pid), "GC.heap_info"], capture_output=True, text=True, check=True, timeout=60).stdout
    spaces = list(HEAP_SPACE.finditer(printed))
    assert spaces, f"no heap in the output of jcmd: {printed}"
    heap = [(int(space["low"], 16), int(space["end"], 16)) for space in spaces]
    inside = outside = 0
    for region in java.memory_maps(grouped=False):
        low = int(region.addr.partition("-")[0], 16)
        if any(begin <= low < end for begin, end in heap):
            inside += region.rss
        else:
            outside += region.rss
    used = sum(int(space["used"]) for space in spaces) * 1_024
    return {"java_heap_used_mb": used // 2**20, "java_heap_mb": inside // 2**20, "java_native_mb": outside // 2**20}


def take_sample(layer: SpeedLayer, before: dict[tuple[str, str], float]) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """One sample: sizes now, and how long batches took since the sample before."""
    metrics = read_metrics(layer.metrics_port)
    home = layer.settings.home
    checkpoints, scratch = measure_folder(home / "stream" / "checkpoints"), measure_folder(home / "stream" / "scratch")
    found: dict[str, float] = {f"{part}_mb": megabytes for part, megabytes in layer.read_memory().items()}
    java = layer.list_parts()["java"][0]
    found |= read_java(java)
    found |= {"java_threads": java.num_threads(), "java_open_files": java.num_fds(), "processes": len(layer.list_parts()["python"])}
    found |= {"checkpoint_files": checkpoints[0], "checkpoint_kb": checkpoints[1], "scratch_files": scratch[0], "scratch_kb": scratch[1]}
    found |= {"lake_files": measure_folder(home / "lake")[0], "log_versions": len(list(Path(layer.plays, "_delta_log").glob("*.json")))}
    for query in ("processed", "live"):
        name = "soundlake_stream_batch_seconds"
        count, seconds = (metrics.get((f"{name}_{end}", query), 0) - before.get((f"{name}_{end}", query), 0) for end in ("count", "sum"))
        found |= {f"{query}_state_rows": metrics.get(("soundlake_stream_state_rows", query), 0)}
        found |= {f"{query}_batch_seconds": round(seconds / count, 3)} if count else {}
    return found, metrics


def sample(layer: SpeedLayer, minutes: float) -> Iterator[dict[str, float]]:
    """Take a sample every SAMPLE_SECONDS, until the time is over."""
    began, metrics = time.monotonic(), dict[tuple[str, str], float]()
    while (passed := time.monotonic() - began) < minutes * 60:
        time.sleep(SAMPLE_SECONDS)
        layer.check()
        found, metrics = take_sample(layer, metrics)
        yield {"minute": round((passed + SAMPLE_SECONDS) / 60, 1), **found}


def compare(samples: list[dict[str, float]]) -> dict[str, dict[str, object]]:
    """Each quarter (medians, or what a collection left), and whether that is growth."""
    quarter = len(samples) // 4
    parts = [samples[number * quarter : (number + 1) * quarter] for number in range(3)] + [samples[-quarter:]]
    compared: dict[str, dict[str, object]] = {}
    for name in samples[-1].keys() - {"minute"}:
        middle = min if name in LEFT_BY_COLLECTION else statistics.median
        quarters = [middle([one[name] for one in part if name in one] or [0.0]) for part in parts]
        early, late = max(quarters[:2]), quarters[-1]
        noise = next((value for end, value in NOISE.items() if name.endswith(end)), 10)
        grew = name not in NOT_COMPARED and late > early * GROWTH and late - early > noise
        compared[name] = {"quarters": quarters, "grew": grew}
    return dict(sorted(compared.items()))


def run(minutes: float, rate: int, repeat_minutes: int) -> dict[str, object]:
    """The whole run; prints each sample and returns the comparison."""
    variables = {"SOUNDLAKE_STREAM_REPEAT_MINUTES": str(repeat_minutes)}
    with tempfile.TemporaryDirectory() as folder, start_speed_layer(Path(folder), **variables) as layer:
        feed = Feed(layer.address, rate)
        thread = threading.Thread(target=feed.run)
        thread.start()
        samples = []
        try:
            for found in sample(layer, minutes):
                samples.append(found)
                print(json.dumps(found), flush=True)
        finally:
            feed.stopped.set()
            thread.join()
        wait_until_drained(layer, feed)
        layer.job.send_signal(signal.SIGTERM)
        layer.job.wait(120)
        check_tables(layer, feed)
        counts = {"events": feed.events, "repeated": feed.repeated, "rejected": feed.rejected, "lost": 0, "doubled": 0}
        return {"minutes": minutes, "rate": rate, **counts, "parts": compare(samples)}


def main() -> None:
    """Print a line of JSON for each sample, and one at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rate", type=int, default=150, help="events a second")
    parser.add_argument("--repeat-minutes", type=int, default=1, help="how long a repeat is recognised; the state turns over as often")
    options = parser.parse_args()
    if options.minutes * 60 < 4 * SAMPLE_SECONDS:
        parser.error("--minutes: a quarter needs a sample, and a sample takes half a minute")
    report = run(options.minutes, options.rate, options.repeat_minutes)
    print(json.dumps(report))
    grown = [name for name, part in report["parts"].items() if part["grew"]]
    sys.exit(f"unbounded growth: {', '.join(grown)}" if grown else 0)


if __name__ == "__main__":
    main()
