"""Each way into the lake: what comes of a listener is stored, and is dropped and counted once the listener was forgotten."""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.spotify_home import T0_MS, TRACK, run

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import TOPICS
from soundlake.contract.topics import PLAYS
from soundlake.errors import DataError
from soundlake.importing import Importer
from soundlake.importing.log_drain import LogDrain
from soundlake.lake import Lake, Scope
from soundlake.operations.dead_letters import DeadLetterFilter, Replayer
from soundlake.progress import StepList
from soundlake.reconciliation.log_vs_bronze import check_log
from soundlake.settings import Address
from soundlake.sink import Sink, SinkLimits
from soundlake.spotify.backfill import Backfill
from soundlake.spotify.fake import write_timeline
from soundlake.spotify.poller import ListeningStore, Poller, find_pace

LISTENER = "acc-ann"
NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)


class Home:
    """A log, a lake and the programs that write to them; the clock is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, NOW
        self.broker = MemoryBroker(clock=lambda: self.now)
        self.broker.create_topics(TOPICS, partitions=2)
        self.publisher = Publisher(self.broker, lambda: self.now)
        self.open_lake()

    def open_lake(self) -> None:
        path = self.folder / "lake"
        self.lake = Lake(Address(f"file://{path}", "file", path=path))
        self.lake.ensure_tables()

    def drain(self) -> None:
        Sink(self.broker, self.lake, SinkLimits(), clock=lambda: self.now).run(until_drained=True)

    def append(self, **fields: object) -> None:
        event = {"event_id": str(uuid.uuid4()), "event_type": "play", "user_id": LISTENER, "played_at": "2026-11-22T16:00:00Z", **fields}
        self.broker.append(PLAYS.name, [LISTENER.encode()], [json.dumps(event).encode()])

    def import_file(self, name: str, text: str, *, events: bool = False) -> None:
        path = self.folder / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        drain = LogDrain(self.broker, self.lake, lambda _stop: self.drain(), self.folder / "sink.lock")
        importer = Importer(self.lake, self.publisher, drain, reporter=StepList(), lock=self.folder / "import.lock")
        if events:
            importer.import_events([path])
            return
        with suppress(DataError):  # the files of a forgotten listener are refused
            importer.import_history([path], LISTENER)

    def count_stored(self) -> int:
        """The rows of the listener in bronze; the log must add up with them."""
        assert [check for check in check_log(self.broker, self.lake) if not check.ok] == []
        rows = [user for name in ("plays", "history") for user in self.lake.read(name, ["user_id"])["user_id"].to_pylist()]
        return rows.count(LISTENER)


def bring_by_producer(home: Home, forget: Callable[[], None]) -> None:
    forget()
    home.append()


def build_bronze_again(home: Home, forget: Callable[[], None]) -> None:
    """The tables are lost, and the sink reads the log from its beginning."""
    home.append()
    home.drain()
    forget()
    shutil.rmtree(home.folder / "lake" / "bronze")
    home.open_lake()


def replay_dead_letters(home: Home, forget: Callable[[], None]) -> None:
    """A record that was rejected for its time is published again two days later."""
    home.append(played_at="2026-11-24T00:00:00Z")
    home.drain()
    assert home.count_stored() == 0
    forget()
    home.now = NOW + timedelta(days=2)
    report = Replayer(home.broker, home.lake, home.folder, StepList(), in_flight_seconds=0.0, clock=lambda: home.now).replay(
        DeadLetterFilter()
    )
    assert report.is_complete


def import_extended_export(home: Home, forget: Callable[[], None]) -> None:
    forget()
    row = {
        "ts": "2024-03-01T10:00:00Z", "ms_played": 60_000, "master_metadata_track_name": "T", "master_metadata_album_artist_name": "A",
        "spotify_track_uri": "spotify:track:4Z8W4fKeB5YxbusRsdQVPb",
    }  # fmt: skip
    home.import_file("Streaming_History_Audio_2024_0.json", json.dumps([row]))


def import_account_export(home: Home, forget: Callable[[], None]) -> None:
    forget()
    row = {"endTime": "2024-03-01 10:00", "artistName": "A", "trackName": "T", "msPlayed": 60_000}
    home.import_file("StreamingHistory0.json", json.dumps([row]))


def import_lastfm(home: Home, forget: Callable[[], None]) -> None:
    forget()
    header = "uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid"
    home.import_file("lastfm.csv", f'{header}\n"1709287200","01 Mar 2024, 10:00","A","","B","","T",""\n')


def import_listenbrainz(home: Home, forget: Callable[[], None]) -> None:
    forget()
    listen = {"listened_at": 1_709_287_200, "track_metadata": {"artist_name": "A", "track_name": "T", "additional_info": {}}}
    home.import_file("listens.jsonl", json.dumps(listen) + "\n")


def import_events(home: Home, forget: Callable[[], None]) -> None:
    forget()
    event = {"event_id": str(uuid.uuid4()), "event_type": "play", "user_id": LISTENER, "played_at": "2024-03-01T10:00:00Z"}
    home.import_file("events.jsonl", json.dumps(event) + "\n", events=True)


def play_a_song(spotify) -> None:
    """A connected account that plays one song to its end."""
    spotify.fake.add_account(write_timeline("ann", T0_MS, {"A": TRACK}, [{"run": [0, 200, "A", 0]}, {"none": [200, 100_000]}]))
    spotify.connect("ann")


def collect_history(home: Home, forget: Callable[[], None]) -> None:
    forget()

    async def main(spotify) -> None:
        play_a_song(spotify)
        await spotify.clock.sleep(600)
        app, histories = spotify.find_app(), spotify.make_records().histories
        backfill = Backfill(spotify.store, histories, lambda one: spotify.make_client(one.account, app), home.publisher, spotify.clock)
        assert (await backfill.collect(LISTENER)).plays > 0

    run(home.folder / "spotify", main)


def follow_player(home: Home, forget: Callable[[], None]) -> None:
    forget()

    async def main(spotify) -> None:
        play_a_song(spotify)
        app = spotify.find_app()
        poller = Poller(
            store=spotify.store, listenings=ListeningStore(home.folder / "listening"), publisher=home.publisher, clock=spotify.clock,
            make_client=lambda one: spotify.make_client(one.account, app), sleep=spotify.clock.sleep,
            find_pace=lambda _, count: find_pace(spotify.budget.measure_use(spotify.make_client("", app).app), count),
        )  # fmt: skip
        task = asyncio.ensure_future(poller.run(lambda _report: None))
        await spotify.clock.sleep(1_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(home.folder / "spotify", main)


WAYS = (
    bring_by_producer, build_bronze_again, replay_dead_letters, import_extended_export, import_account_export, import_lastfm,
    import_listenbrainz, import_events, collect_history, follow_player,
)  # fmt: skip
OF_THE_API = (collect_history, follow_player)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("scope", [None, *Scope], ids=str)
def test_what_comes_of_a_listener_is_stored_unless_it_was_forgotten(tmp_path, way, scope):
    home = Home(tmp_path)
    way(home, lambda: None if scope is None else home.lake.tombstones.add([LISTENER], scope))
    home.drain()
    is_dropped = scope is Scope.EVERYTHING or (scope is Scope.SPOTIFY_API and way in OF_THE_API)
    assert (home.count_stored() == 0) == is_dropped
