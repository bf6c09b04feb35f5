"""One truth, shown by nine sources with their known faults, imported in random order: does silver find which rows are one play?

    python bench/merge.py [--listeners 200] [--days 30] [--seed 1] [--folder DIR]

The generator writes the views and, beside them, the true play of each row. Every view is cut into parts; the parts of all views are
imported in random order into an embedded lake, silver is built after half of the imports and at the end. Two rows of one true play are a
pair: precision and recall of silver_observations over all pairs and for each pair of sources (aim: 0.995), and the minutes of silver_plays
against the truth (aim: within 0.5 %). Progress and the most frequent errors on stderr, one JSON line on stdout.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.merge_judge import judge
from bench.transform import PROJECT, copy_project

from soundlake import wiring
from soundlake.generator import GeneratorConfig, generate_events
from soundlake.generator.output.views import Period, ViewFolder, list_views
from soundlake.settings import Settings, extend_environment
from soundlake.warehouse import Warehouse

PERIODS = {
    "spotify-export-short-2018": (0.0, 0.35),
    "spotify-export-2020": (0.0, 0.6),
    "spotify-export-2022": (0.0, 0.85),
    "spotify-export-2024": (0.0, 1.1),
    "spotify-export-short": (0.3, 0.95),
    "spotify-recent": (0.2, 1.1),
    "spotify-live": (0.2, 1.1),
    "listenbrainz": (0.1, 1.1),
    "lastfm": (0.0, 0.9),
}
"""The part of the days that each source knows: downloads were requested earlier or later, the poller and scrobblers began later."""
PARTS = 2
_NO_OVERLAPS = """
select place from (
    select
        place, played_at >= coalesce(max(played_at + to_milliseconds(ms_played)) over (
            partition by user_id order by place rows between unbounded preceding and 1 preceding
        ), played_at) as is_possible
    from (select user_id, played_at, ms_played, row_number() over () - 1 as place from plays)
)
where is_possible order by place
"""
GOLD = {path.stem for path in (PROJECT / "models" / "gold").rglob("*.sql")}
"""Not built: only silver is judged."""


def import_part(settings: Settings, view: str, folder: Path) -> dict[str, Any]:
    """Import one part of a view by its command; the report."""
    source = "events" if view in ("spotify-recent", "spotify-live") else view if view in ("listenbrainz", "lastfm") else "spotify-export"
    command = [sys.executable, "-m", "soundlake.cli.app", "import", source, str(folder), "--json"]
    done = subprocess.run(
        command, env=extend_environment({"SOUNDLAKE_HOME": str(settings.home)}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}"
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def make_config(listeners: int, days: int, seed: int) -> GeneratorConfig:
    """A world that ends before today: what is in the future would be rejected."""
    config = GeneratorConfig(listeners=listeners, days=days, seed=seed)
    return config.end_before(datetime(2026, 6, 1, tzinfo=UTC).date())


def leave_out_overlaps(plays: pa.Table) -> pa.Table:
    """The plays by listener and start, without those that began while another one of the listener went on.

    The generator's people share accounts and play on two devices at once. The service does not allow that.
    """
    plays = plays.sort_by([("user_id", "ascending"), ("played_at", "ascending"), ("event_id", "ascending")])
    with duckdb.connect() as connection:
        connection.register("plays", plays)
        places = connection.sql(_NO_OVERLAPS).to_arrow_table()["place"]
    return plays.take(places)


def write_views(config: GeneratorConfig, plays: pa.Table, folder: Path, views: Sequence[str]) -> pa.Table:
    """Write the views; the true play of every row."""
    known, recorded = list_views(), []
    begin = datetime.combine(config.start, datetime.min.time(), UTC)
    for name in views:
        first, last = (begin + timedelta(days=config.days * share) for share in PERIODS[name])
        with ViewFolder(folder / name, known[name], seed=config.seed, period=Period(first, last), record_rows=recorded.append) as view:
            view.write(plays)
        print(f"{name}: {len(recorded[-1]):,} rows", file=sys.stderr, flush=True)
    return pa.concat_tables(recorded)


def cut_into_parts(folder: Path, view: str, chance: random.Random) -> list[Path]:
    """Cut a view into parts: by listener, events by line."""
    parts = [folder / f"{view}-part-{number}" for number in range(PARTS)]
    for part in parts:
        part.mkdir()
    entries = sorted((folder / view).iterdir())
    if len(entries) == 1 and entries[0].is_file():
        lines = entries[0].read_bytes().splitlines(keepends=True)
        chance.shuffle(lines)
        for number, part in enumerate(parts):
            (part / entries[0].name).write_bytes(b"".join(lines[number::PARTS]))
        return parts
    chance.shuffle(entries)
    for number, entry in enumerate(entries):
        entry.rename(parts[number % PARTS] / entry.name)
    return parts


def import_all(settings: Settings, parts: list[tuple[str, Path]], build: Callable[[], None]) -> float:
    """Import the parts in their order, with a build after half of them and after the last; the seconds of the imports."""
    seconds = 0.0
    for number, (view, part) in enumerate(parts, 1):
        began = time.perf_counter()
        report = import_part(settings, view, part)
        took = time.perf_counter() - began
        seconds += took
        counts = ", ".join(f"{name[5:]} {report[name]:,}" for name in ("rows_read", "rows_stored", "rows_duplicate", "rows_refused"))
        print(f"{number}/{len(parts)} {part.name}: {counts}, {took:.1f} s", file=sys.stderr, flush=True)
        if number in (len(parts) // 2, len(parts)):
            build()
    return seconds


@contextmanager
def open_folder(folder: Path | None) -> Iterator[Path]:
    """The folder, or a temporary one."""
    if folder is not None:
        folder.mkdir(parents=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)


def run(config: GeneratorConfig, folder: Path, views: Sequence[str]) -> dict[str, object]:
    """Write, import, build and judge."""
    events = pa.concat_tables(list(generate_events(config)))
    plays = leave_out_overlaps(events.filter(pc.equal(events["event_type"], "play")))
    chance = random.Random(config.seed)
    (folder / "views").mkdir()
    rows = write_views(config, plays, folder / "views", views)
    parts = [(view, part) for view in views for part in cut_into_parts(folder / "views", view, chance)]
    chance.shuffle(parts)
    settings = Settings(_env_file=None, home=folder / "home")
    lake = wiring.open_lake(settings)
    built: list[float] = []
    with Warehouse(folder / "warehouse", lake, project=copy_project(folder, GOLD)) as warehouse:

        def build() -> None:
            began = time.perf_counter()
            warehouse.transform()
            built.append(round(time.perf_counter() - began, 1))
            print(f"build: {built[-1]} s", file=sys.stderr, flush=True)

        seconds = import_all(settings, parts, build)
    figures = judge(lake.read("history"), rows, plays, folder / "warehouse" / "build.duckdb")
    return {"seconds_imports": round(seconds, 1), "seconds_builds": built, **figures}


def main() -> None:
    """One line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--views", nargs="+", choices=PERIODS, default=list(PERIODS))
    parser.add_argument("--folder", type=Path, help="a new working folder, kept with its contents")
    options = parser.parse_args()
    config = make_config(options.listeners, options.days, options.seed)
    began, cpu = time.perf_counter(), time.process_time()
    with open_folder(options.folder) as folder:
        figures = run(config, folder, options.views)
    seconds = {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(time.process_time() - cpu, 1)}
    print(json.dumps({"benchmark": "merge", "listeners": options.listeners, **seconds, **figures}))


if __name__ == "__main__":
    main()
