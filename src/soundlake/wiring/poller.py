"""The poller of Spotify's player."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

from soundlake.wiring.spotify import app_of, locate_spotify, open_clients, open_request_budget, open_token_store
from soundlake.wiring.systems import open_broker, open_publisher

if TYPE_CHECKING:
    from soundlake.cache import NowPlayingStore
    from soundlake.settings import Settings
    from soundlake.spotify.plays.current import Current
    from soundlake.spotify.plays.planner import Pace
    from soundlake.spotify.poller import ListeningStore, Poller, SongObserver
    from soundlake.spotify.tokens import Connection
    from soundlake.telemetry import Telemetry


def open_listening_store(settings: Settings) -> ListeningStore:
    """What each followed account plays."""
    from soundlake.spotify.poller import ListeningStore

    return ListeningStore(locate_spotify(settings) / "listening")


def open_now_playing(settings: Settings) -> NowPlayingStore:
    """What each listener plays in this second: in Redis, or in files under home."""
    from soundlake.cache import FileNowPlayingStore

    address = settings.cache_address
    if address.scheme == "memory":
        return FileNowPlayingStore(settings.home_folder / "now-playing")
    from soundlake.cache.redis_now_playing import open_redis_now_playing

    return open_redis_now_playing(address.url)


def make_show(settings: Settings) -> Callable[[str, Current | None], None]:
    """Keeps in the cache what a listener plays."""
    from soundlake.broker.protocol import read_utc_now
    from soundlake.spotify.poller.page import make_now_playing

    store = open_now_playing(settings)

    def show(listener: str, current: Current | None) -> None:
        if current is None:
            store.delete(listener)
        else:
            store.write(make_now_playing(listener, current, read_utc_now()))

    return show


@asynccontextmanager
async def open_poller(
    settings: Settings,
    telemetry: Telemetry | None = None,
    *,
    show: Callable[[str, Current | None], None] | None = None,
    observer: SongObserver | None = None,
) -> AsyncIterator[Poller]:
    """The poller of all connected accounts, publishing to the event log of this deployment.

    `show` is given what each listener plays after each poll (default: the cache keeps it), `observer` each change of the song.
    """
    import asyncio

    from soundlake.broker.protocol import read_utc_now
    from soundlake.spotify.poller import Poller, find_pace

    budget = open_request_budget(settings)

    def pace_of(connection: Connection, listeners: int) -> Pace:
        return find_pace(budget.measure_use(app_of(connection)), listeners)

    async with open_clients(settings) as make_client:
        with closing(open_broker(settings)) as broker:
            yield Poller(
                store=open_token_store(settings),
                listenings=open_listening_store(settings),
                make_client=make_client,
                publisher=open_publisher(settings, broker, telemetry),
                clock=read_utc_now,
                sleep=asyncio.sleep,
                find_pace=pace_of,
                show=show or make_show(settings),
                observer=observer,
                measure=telemetry.watch_songs().record_song if telemetry is not None else lambda _seconds: None,
            )
