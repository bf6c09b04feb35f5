"""Whether the streaming job can run for hours: what it holds and how long its batches take, looked at again and again; JSON lines.

    python bench/endurance.py [--minutes 20] [--rate 250] [--repeat-minutes 1]

All three queries at a modest rate, with repeats known for so short a time that the state turns over many times. The last line compares the
second quarter of the looks with the last one: a part that grew by more than a quarter (and by more than is noise) has no bound, and the
program fails. At the end every event has to stand once in its table.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from speed_layer.feed import Feed
from speed_layer.stack import SpeedLayer, count_events, start_speed_layer, wait_until_drained

LOOK_SECONDS = 30
GROWTH = 1.25
NOISE = {"java_mb": 50, "python_mb": 20, "redis_mb": 20, "batch_seconds": 0.5}
"""What a part may differ by between two looks without having grown; 10 of whatever it is where nothing is said."""
NOT_BOUNDED = ("lake_files", "log_versions")
"""Grows with what was stored: told, not judged."""


def read_metrics(port: int) -> dict[tuple[str, str], float]:
    """What the job tells of its queries: by name and query."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {
        (sample.name, sample.labels["query"]): sample.value for family in families for sample in family.samples if "query" in sample.labels
    }


def weigh(folder: Path) -> tuple[int, int]:
    """Files in a folder and all below it, and their kilobytes."""
    sizes = []
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(Path(path, name).stat().st_size)
            except FileNotFoundError:  # Spark clears up meanwhile
                continue
    return len(sizes), sum(sizes) // 1_024


def look(layer: SpeedLayer, before: dict[tuple[str, str], float]) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """One look: sizes now, and how long batches took since the look before."""
    told = read_metrics(layer.metrics_port)
    home = layer.settings.home
    checkpoints, scratch = weigh(home / "stream" / "checkpoints"), weigh(home / "stream" / "scratch")
    found: dict[str, float] = {f"{part}_mb": megabytes for part, megabytes in layer.read_memory().items()}
    java = layer.list_parts()["java"][0]
    found |= {"java_threads": java.num_threads(), "java_open_files": java.num_fds(), "processes": len(layer.list_parts()["python"])}
    found |= {"checkpoint_files": checkpoints[0], "checkpoint_kb": checkpoints[1], "scratch_files": scratch[0], "scratch_kb": scratch[1]}
    found |= {"lake_files": weigh(home / "lake")[0], "log_versions": len(list(Path(layer.plays, "_delta_log").glob("*.json")))}
    for query in ("processed", "live"):
        name = "soundlake_stream_batch_seconds"
        count, seconds = (told.get((f"{name}_{end}", query), 0) - before.get((f"{name}_{end}", query), 0) for end in ("count", "sum"))
        found |= {f"{query}_state_rows": told.get(("soundlake_stream_state_rows", query), 0)}
        found |= {f"{query}_batch_seconds": round(seconds / count, 3)} if count else {}
    return found, told


def watch(layer: SpeedLayer, minutes: float) -> Iterator[dict[str, float]]:
    """A look every LOOK_SECONDS, until the time is over."""
    began, told = time.monotonic(), dict[tuple[str, str], float]()
    while (passed := time.monotonic() - began) < minutes * 60:
        time.sleep(LOOK_SECONDS)
        layer.check()
        found, told = look(layer, told)
        yield {"minute": round((passed + LOOK_SECONDS) / 60, 1), **found}


def compare(looks: list[dict[str, float]]) -> dict[str, dict[str, object]]:
    """Medians of the second quarter and of the last, and whether that is growth."""
    quarter = len(looks) // 4
    second, last = looks[quarter : 2 * quarter], looks[-quarter:]
    compared: dict[str, dict[str, object]] = {}
    for name in looks[-1].keys() - {"minute"}:
        early, late = (statistics.median(one[name] for one in part if name in one) for part in (second, last))
        noise = next((value for end, value in NOISE.items() if name.endswith(end)), 10)
        grew = name not in NOT_BOUNDED and late > early * GROWTH and late - early > noise
        compared[name] = {"second_quarter": early, "last_quarter": late, "grew": grew}
    return dict(sorted(compared.items()))


def run(minutes: float, rate: int, repeat_minutes: int) -> dict[str, object]:
    """The whole run; prints each look, and returns the comparison."""
    variables = {"SOUNDLAKE_STREAM_REPEAT_MINUTES": str(repeat_minutes)}
    with tempfile.TemporaryDirectory() as folder, start_speed_layer(Path(folder), **variables) as layer:
        feed = Feed(layer.address, rate)
        thread = threading.Thread(target=feed.run)
        thread.start()
        looks = []
        try:
            for found in watch(layer, minutes):
                looks.append(found)
                print(json.dumps(found), flush=True)
        finally:
            feed.stopped.set()
            thread.join()
        wait_until_drained(layer, len(feed.plays))
        layer.job.send_signal(signal.SIGTERM)
        layer.job.wait(120)
        assert count_events(layer) == (len(feed.plays), len(feed.plays)), f"{count_events(layer)} of {len(feed.plays)}"
        return {"minutes": minutes, "rate": rate, "events": len(feed.plays), "lost": 0, "doubled": 0, "parts": compare(looks)}


def main() -> None:
    """A line of JSON a look, and one at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=int, default=250, help="plays a second")
    parser.add_argument("--repeat-minutes", type=int, default=1, help="so long a repeat is known; the state turns over as often")
    options = parser.parse_args()
    told = run(options.minutes, options.rate, options.repeat_minutes)
    print(json.dumps(told))
    grown = [name for name, part in told["parts"].items() if part["grew"]]
    sys.exit(f"without a bound: {', '.join(grown)}" if grown else 0)


if __name__ == "__main__":
    main()
