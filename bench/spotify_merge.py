"""One truth by three ways: live by the poller, by recently-played, and in an export. Is each play one play in silver?

    python bench/spotify_merge.py [--plays 10000] [--listeners 6] [--seed 42] [--folder DIR]

Simulated listeners of the fake Spotify (pauses, seeks, skips, repeats, adverts, podcasts, offline and private listening) are followed by
client, poller and backfill in virtual time, with every fault of the answers, outages, and a restart of the poller every six hours; then
the export of the same plays is imported, with its faults. Silver is built once. Observations of one true play are a pair: precision and
recall of the pairs and for each pair of sources (aim: 0.995), and of the plays in silver against the truth (aim: 0.995), with the errors
of `ms_played` and start. Progress and the most frequent errors on stderr, one JSON line on stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.merge import GOLD, open_folder
from bench.merge_judge import judge
from bench.spotify_truth import Truth, compare_plays, read_export, write_export
from bench.transform import copy_project
from tests.spotify_home import SpotifyHome
from tests.warehouse_builder import BronzeBuilder, complete_columns

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import EVENT_SCHEMA, TOPICS
from soundlake.contract.decode import decode_records
from soundlake.spotify.backfill import EVERY, Backfill
from soundlake.spotify.budget import App, Purpose, RequestBudget
from soundlake.spotify.client import SpotifyAPIClient
from soundlake.spotify.collection import HistoryStore
from soundlake.spotify.fake import AdjustableClock, FakeApp, FakeSpotify, run_in_virtual_time
from soundlake.spotify.fake.clock import to_ms
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.fake.web_api import PLAYER_PATHS, RECENTLY_PLAYED
from soundlake.spotify.plays.planner import Pace
from soundlake.spotify.poller import ListeningStore, Poller
from soundlake.spotify.tokens import Connection
from soundlake.warehouse import Warehouse
from soundlake.wiring.fake_spotify import simulate_listeners

START = datetime(2026, 2, 27, 20, tzinfo=UTC)
"""The world goes over the end of a month."""
_PLAYER_SHARES = {
    "no_content": 0.005, "null_item": 0.002, "null_progress": 0.002, "stale_progress": 0.01, "old_clock": 0.05, "relinked": 0.03,
    "past_end": 0.03, "null_context": 0.01, "null_device_id": 0.01, "missing_fields": 0.005, "unknown_fields": 0.01, "empty": 0.001,
    "bad_gateway": 0.005, "html": 0.002, "closed": 0.002, "timeout": 0.001, "cut": 0.001, "unauthorized": 0.001,
}  # fmt: skip
_LIST_SHARES = {
    "listed_twice": 1.0, "late_list": 0.1, "null_track": 0.02, "null_stamp": 0.02, "empty_list": 0.02, "short_stamps": 0.2,
    "null_cursors": 0.1, "bad_gateway": 0.02, "unauthorized": 0.01,
}  # fmt: skip
_OUTAGE = timedelta(minutes=20)
_OUTAGE_EVERY = timedelta(days=2)
_RESTART = timedelta(hours=6)


class UncountedBudget(RequestBudget):
    """Limits that Spotify names are waited for; calls are not counted, as 20 apps with a listener each would have enough of them."""

    def take(self, app: App, account: str, purpose: Purpose) -> None:  # noqa: ARG002  # as the budget's
        """Only what the account waits for."""
        self.check(app, account)


def collect(folder: Path, plays: int, listeners: int, seed: int) -> tuple[pa.Table, Truth]:
    """The events of poller and backfill, and what was really played."""

    async def main(clock: AdjustableClock) -> tuple[pa.Table, Truth]:
        simulated = simulate_listeners(listeners, START, seed=seed, busy=max(1, listeners // 2))
        fake = FakeSpotify(clock, simulated=simulated)
        fake.add_app(FakeApp())
        add_faults(fake, seed)
        home = SpotifyHome(fake, clock, folder)
        home.budget = UncountedBudget(folder / "budget.json", home.limits, clock)
        for user in list(fake.accounts):
            home.connect(user)
        broker = MemoryBroker(clock)
        broker.create_topics(TOPICS, partitions=1)
        while len(fake.list_plays()) < plays:
            await follow(home, folder, Publisher(broker, clock))
            print(f"{clock():%Y-%m-%d %H:%M}: {len(fake.list_plays()):,} plays", file=sys.stderr, flush=True)
        plays_topic = next(topic for topic in TOPICS if topic.table == "plays")
        records = broker.fetch(plays_topic.name, 0, 0, max_records=10**7, max_bytes=10**10)
        times = pa.repeat(pa.scalar(to_ms(clock())), len(records.values))
        return decode_records(plays_topic, records.values, times).events, Truth.of(fake, clock.now_ms)

    return run_in_virtual_time(main, START)


async def follow(home: SpotifyHome, folder: Path, publisher: Publisher) -> None:
    """Six hours of one process of the poller and one of the backfill."""

    def make_client(connection: Connection) -> SpotifyAPIClient:
        return home.make_client(connection.account, home.find_app())

    listenings = ListeningStore(folder / "listening")
    poller = Poller(
        store=home.store, listenings=listenings, make_client=make_client, publisher=publisher, clock=home.clock, sleep=home.clock.sleep,
        find_pace=lambda _one, _count: Pace(),
    )  # fmt: skip
    backfill = Backfill(
        home.store, HistoryStore(folder / "history"), make_client, publisher, home.clock, list_heard=lambda one: listenings.read(one).heard
    )
    tasks = [
        asyncio.ensure_future(poller.run(lambda _: None)),
        asyncio.ensure_future(backfill.run(EVERY, home.clock.sleep, lambda _: None)),
    ]
    await home.clock.sleep(_RESTART.total_seconds())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def add_faults(fake: FakeSpotify, seed: int) -> None:
    """All of the player's and of the list's, and an outage every other day."""
    for paths, shares in ((PLAYER_PATHS, _PLAYER_SHARES), ((RECENTLY_PLAYED,), _LIST_SHARES)):
        for number, (kind, share) in enumerate(shares.items()):
            fake.faults.add(Fault(kind, paths=paths, share=share, seed=seed + number))
    for number in range(1, 15):
        begin = START + number * _OUTAGE_EVERY
        fake.faults.add(Fault("unavailable", from_ms=to_ms(begin), until_ms=to_ms(begin + _OUTAGE)))


def run(folder: Path, plays: int, listeners: int, seed: int) -> dict[str, object]:
    """Collect, export, build and judge."""
    began = time.perf_counter()
    (folder / "home").mkdir()
    live, truth = collect(folder / "home", plays, listeners, seed)
    collected = time.perf_counter()
    rows = write_export(truth, folder / "export", seed)
    history = read_export(folder / "export", truth.until)
    stored = pa.concat_tables([live.select(EVENT_SCHEMA.names), history.select(EVENT_SCHEMA.names)])
    build(folder, live, history)
    figures = judge(stored, pa.concat_tables([rows, truth.identify(live)]), truth.as_table(), folder / "warehouse" / "build.duckdb")
    seconds = {"seconds_collected": round(collected - began, 1), "seconds_built": round(time.perf_counter() - collected, 1)}
    return {**seconds, **figures, "in_silver": compare_plays(truth, folder / "warehouse" / "build.duckdb")}


def build(folder: Path, live: pa.Table, history: pa.Table) -> None:
    """Silver of everything."""
    bronze = BronzeBuilder(folder / "lake")
    for table, events in (("plays", live), ("history", history)):
        bronze.append_table(table, complete_columns({name: events[name].combine_chunks() for name in EVENT_SCHEMA.names}))
    with Warehouse(folder / "warehouse", bronze, memory_limit="1GB", project=copy_project(folder, GOLD)) as warehouse:
        warehouse.transform()


def main() -> None:
    """One line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plays", type=int, default=10_000)
    parser.add_argument("--listeners", type=int, default=6)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--folder", type=Path, help="a new working folder, kept with its contents")
    options = parser.parse_args()
    with open_folder(options.folder) as folder:
        figures = run(folder, options.plays, options.listeners, options.seed)
    print(json.dumps({"benchmark": "spotify_merge", "listeners": options.listeners, "seed": options.seed, **figures}))


if __name__ == "__main__":
    main()
