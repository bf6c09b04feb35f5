"""The fake Spotify with listeners of the generator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from soundlake.generator import World
    from soundlake.settings import Settings
    from soundlake.spotify.fake import FakeSpotify, SimulatedListeners

_WEEK_MS = 7 * 86_400_000
_CANDIDATES_PER_ACCOUNT = 20
_ALWAYS_LISTENING_IDLE_S = 8.0
_FREE_PLAN_EVERY = 4
_SHORTEST_HISTORY = timedelta(days=1)
_YEARS = 3


@dataclass(frozen=True)
class FakeOptions:
    """How many accounts listen, in which world, how fast its time runs, and whether an app has the limits of development mode."""

    listeners: int = 3
    seed: int = 42
    speed: float = 1.0
    has_limits: bool = True
    base_url: str = "http://127.0.0.1:8889"


def build_fake_spotify(options: FakeOptions) -> FakeSpotify:
    """A fake with one app and accounts `fake-01`, …; the first one listens round the clock.

    All have listened since the month began (a day at least), so that a server started again has the same past.
    """
    from soundlake.spotify.fake import AdjustableClock, FakeApp, FakeSpotify
    from soundlake.spotify.fake.limits import DEVELOPMENT_CALLS_PER_DAY, DEVELOPMENT_CALLS_PER_WINDOW

    now = datetime.now(UTC)
    month = (now - _SHORTEST_HISTORY).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    simulated = simulate_listeners(options.listeners, month, seed=options.seed)
    fake = FakeSpotify(AdjustableClock(now, speed=options.speed), base_url=options.base_url, simulated=simulated)
    app = fake.add_app(FakeApp())
    if options.has_limits:
        app.calls_per_window = DEVELOPMENT_CALLS_PER_WINDOW
        fake.limits.calls_per_day[app.developer] = DEVELOPMENT_CALLS_PER_DAY
    return fake


def connect_fake_account(settings: Settings, fake: FakeSpotify, base_url: str, user: str) -> bool:
    """Connect an account of this fake (at `base_url`) to the home of these settings; False if it is connected already.

    Raises UsageError if the fake has no such account.
    """
    from soundlake.spotify.auth import SpotifyAuth
    from soundlake.spotify.budget import App
    from soundlake.spotify.fake.consent import connect_account, open_in_process_client
    from soundlake.spotify.sign_in import Login
    from soundlake.wiring.spotify import open_request_budget, open_token_store

    (app,) = fake.apps.values()
    store = open_token_store(settings)
    account = fake.accounts.get(user)
    known = None if account is None else store.read(account.account_id)
    if known is not None and known.refresh_token and known.api_url == base_url:
        return False
    with open_in_process_client(fake) as http:
        auth = SpotifyAuth(http, app.client_id, redirect_uri=app.redirect_uris[0], accounts_url=base_url)
        login = Login(App(app.client_id, app.developer), auth, http, store, open_request_budget(settings), base_url)
        connect_account(fake, login, user)
    return True


def simulate_listeners(count: int, start: datetime, *, seed: int = 42, tracks: int = 20_000, busy: int = 1) -> SimulatedListeners:
    """The most active listeners of a small world, as accounts that listen from `start` on; `busy` of them round the clock."""
    from soundlake.generator import GeneratorConfig, make_world
    from soundlake.spotify.fake import Habits, SimulatedListeners

    config = GeneratorConfig(
        listeners=_CANDIDATES_PER_ACCOUNT * count, days=365 * _YEARS, seed=seed, start=date(start.year - 1, 1, 1), tracks=tracks
    )
    world = make_world(config)
    start_ms = int(start.timestamp() * 1_000)
    numbers = _find_most_active(world, start_ms, count)

    def list_events(number: int, from_ms: int, until_ms: int) -> pa.Table:
        return world.make_listeners_span(number, 1, from_ms, until_ms)

    round_the_clock = Habits(pause_share=0.02, private_share=0.0, is_seen=True, longest_idle_s=_ALWAYS_LISTENING_IDLE_S)
    habits = {
        number: round_the_clock if place < busy else Habits(is_free=place % _FREE_PLAN_EVERY == 1) for place, number in enumerate(numbers)
    }
    names = {number: f"fake-{place:02d}" for place, number in enumerate(numbers, start=1)}
    return SimulatedListeners(list_events, names, start_ms, habits, seed)


def _find_most_active(world: World, start_ms: int, count: int) -> list[int]:
    """The numbers of the listeners with the most plays in the first week."""
    import pyarrow.compute as pc

    of_listener = {world.name_listener(number): number for number in range(world.config.listeners)}
    events = world.make_listeners_span(0, world.config.listeners, start_ms, start_ms + _WEEK_MS)
    found = pc.value_counts(events.filter(pc.equal(events["event_type"], "play"))["user_id"]).to_pylist()
    plays = {of_listener[one["values"]]: one["counts"] for one in found}
    return sorted(of_listener.values(), key=lambda number: -plays.get(number, 0))[:count]
