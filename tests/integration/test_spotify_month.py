"""A month of simulated listeners: everything that Spotify ever showed is in the log once, and what it never showed is in a gap record."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import orjson
import pytest
from tests.spotify_home import START, T0_MS, SpotifyHome

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import TOPICS
from soundlake.spotify.backfill import EVERY, Backfill
from soundlake.spotify.collection import HistoryStore
from soundlake.spotify.fake import FakeApp, FakeSpotify, run_in_virtual_time
from soundlake.spotify.fake.clock import to_ms
from soundlake.spotify.fake.faults import Fault
from soundlake.wiring.fake_spotify import simulate_listeners

_RECENT = "/v1/me/player/recently-played"
_HOUR_MS = 3_600_000
_KINDS = ("bad_gateway", "empty", "closed", "unauthorized", "html", "timeout")


class Month:
    """What was collected, and what there was to collect."""

    def __init__(self, home, broker, histories, fetches):
        self.home, self.histories, self.fetches = home, histories, fetches
        (partition,) = broker.partitions("user_plays")
        values = broker.fetch("user_plays", partition, 0, max_records=10**7, max_bytes=10**10).values.to_pylist()
        self.events = [orjson.loads(value) for value in values]

    def list_stored(self, user):
        return {(one["track_id"], to_ms_text(one["played_at"])) for one in self.events if one["user_id"] == f"acc-{user}"}

    def list_shown(self, user):
        """Every entry that an answer held."""
        timeline = self.home.fake.accounts[user].timeline
        return {(one.track.id, one.played_at_ms) for at_ms in self.fetches[user] for one in timeline.list_history(at_ms)}

    def list_never_shown(self, user):
        shown, last = self.list_shown(user), self.fetches[user][-1]
        listings = self.home.fake.accounts[user].timeline.listings
        return [one for one in listings if one.listed_ms <= last and not one.is_repeat and (one.track.id, one.played_at_ms) not in shown]


def to_ms_text(text):
    return to_ms(datetime.fromisoformat(text))


def collect(folder, listeners, days, every=EVERY):
    """Collect the history of simulated listeners, three of them heavy, through faults, an outage of hours and a restart a day."""

    async def main(clock):
        fake = FakeSpotify(clock, simulated=simulate_listeners(listeners, START, tracks=2_000, busy=3))
        fake.add_app(FakeApp())
        home = SpotifyHome(fake, clock, folder)
        for user in list(fake.accounts):
            home.connect(user)
        for number, kind in enumerate(_KINDS):
            fake.faults.add(Fault(kind, paths=(_RECENT,), share=0.01, seed=number))
        fake.faults.add(Fault("unavailable", from_ms=T0_MS + 30 * _HOUR_MS, until_ms=T0_MS + 38 * _HOUR_MS))
        broker, histories = MemoryBroker(clock), HistoryStore(folder / "history")
        broker.create_topics(TOPICS, partitions=1)
        fetches = {user: [] for user in fake.accounts}

        def note(collected):
            if collected.failure is None:
                fetches[collected.account.removeprefix("acc-")].append(clock.now_ms)

        for _ in range(days):
            backfill = Backfill(
                home.store, histories, lambda one: home.make_client(one.account, home.find_app()), Publisher(broker, clock), clock
            )
            task = asyncio.ensure_future(backfill.run(every, clock.sleep, note))
            await clock.sleep(86_400)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return Month(home, broker, histories, fetches)

    return run_in_virtual_time(main, START)


@pytest.mark.parametrize(
    ("listeners", "days", "every"),
    [(4, 2, EVERY), (20, 30, timedelta(hours=2)), pytest.param(20, 30, EVERY, marks=pytest.mark.soak)],
    ids=["days", "month asked every two hours", "month"],
)
def test_nothing_is_lost_but_what_the_rule_of_fifty_makes_impossible(tmp_path, listeners, days, every):
    month = collect(tmp_path, listeners, days, every)
    assert len(month.events) == len({event["event_id"] for event in month.events})
    lost = 0
    for user in month.fetches:
        assert month.list_stored(user) == month.list_shown(user)
        gaps = month.histories.read(f"acc-{user}").gaps
        for listing in month.list_never_shown(user):
            lost += 1
            is_late = listing.listed_ms > listing.played_at_ms  # heard offline, and older than the newest 50 when it arrived
            assert is_late or any(to_ms(gap.begins_at) <= listing.played_at_ms <= to_ms(gap.ends_at) for gap in gaps)
    assert lost
    print(f"{len(month.events)} plays, {lost} never shown, {sum(map(len, month.fetches.values()))} answers")
