"""History: the 50 newest plays of each account, again and again, each published once; what the limit of 50 loses is recorded."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from soundlake.broker import Publisher
from soundlake.broker.protocol import Clock
from soundlake.errors import SoundlakeError, Unavailable
from soundlake.spotify.client import SpotifyAPIClient
from soundlake.spotify.collection import Gap, History, HistoryStore, Span, close_in_part
from soundlake.spotify.plays.instants import read_ms
from soundlake.spotify.plays.recent import Fetched, make_recent_events, take_page
from soundlake.spotify.tokens import Connection, TokenStore

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)
"""50 plays of half a minute last 25 minutes: two requests fall into them, of which one may fail."""

_FIRST_RETRY = timedelta(seconds=30)
_FIRST_LOOK = timedelta(seconds=2)


@dataclass(frozen=True)
class Collected:
    """How one request for an account's history ended: new plays, the gap before them, or the failure."""

    account: str
    plays: int = 0
    unreadable: int = 0
    gap: Gap | None = None
    failure: SoundlakeError | None = None


@dataclass
class _Schedule:
    """When an account is asked next, and how often it failed since the last answer."""

    due_at: datetime
    failures: int = 0


@dataclass
class Backfill:
    """Collects the history of all connected accounts of a home. `list_heard` gives the newest plays that the poller followed."""

    store: TokenStore
    histories: HistoryStore
    make_client: Callable[[Connection], SpotifyAPIClient]
    publisher: Publisher
    clock: Clock
    list_heard: Callable[[str], Sequence[Span]] = lambda _account: ()
    _verified: set[str] = field(default_factory=set)
    _schedules: dict[str, _Schedule] = field(default_factory=dict)

    async def run(self, every: timedelta, sleep: Callable[[float], Awaitable[None]], observe: Callable[[Collected], None]) -> None:
        """Ask for each account's history `every` so often, until cancelled; accounts that are connected meanwhile are asked too.

        The first account is asked within 2 seconds of its sign-in, a further one within 30.
        A failure is tried again after 30 seconds, then after twice as long each time, at most after `every`; a limit when it ends.
        """
        while True:
            self._schedules = {account: self._schedules.get(account, _Schedule(self.clock())) for account in self.store.list_accounts()}
            for account, schedule in self._schedules.items():
                if schedule.due_at <= self.clock():
                    collected = await self._collect_safely(account)
                    self._plan(schedule, collected, every)
                    observe(collected)
            next_at = min((one.due_at for one in self._schedules.values()), default=self.clock() + _FIRST_LOOK)
            await sleep(max(1.0, (min(next_at, self.clock() + _FIRST_RETRY) - self.clock()).total_seconds()))

    async def _collect_safely(self, account: str) -> Collected:
        """A full disk or a folder without rights is a failure of this request, not the end of all."""
        try:
            return await self.collect(account)
        except OSError as cause:
            return Collected(account, failure=Unavailable(f"what was collected of {account} could not be kept: {cause}"))

    async def collect(self, account: str) -> Collected:
        """Ask for one account's history, publish what is new, then note that it is stored: a process that ends between repeats events."""
        with self.histories.try_lease(account) as is_mine:
            if not is_mine:
                return Collected(account, failure=Unavailable(f"another process collects the history of {account}"))
            history = self.histories.read(account)
            history.asked_at = self.clock()
            try:
                collected = await self._collect(account, history)
            except SoundlakeError as error:
                history = self.histories.read(account)  # without what was not published
                history.asked_at, history.failure = self.clock(), error.message
                collected = Collected(account, failure=error)
            self.histories.write(history)
        return collected

    async def _collect(self, account: str, history: History) -> Collected:
        connection = self.store.read(account)
        if connection is None:
            raise Unavailable(f"{account} is no longer connected")
        client = self.make_client(connection)
        if account not in self._verified:
            await client.verify_account()
            self._verified.add(account)
        fetched = take_page(account, history.recent, await client.get_recently_played())
        self._publish(connection, fetched)
        gap, now = self._find_gap(account, fetched), self.clock()
        history.gaps += [gap] if gap else []
        history.answered_at, history.failure = now, None
        history.plays += len(fetched.plays)
        history.unreadable += fetched.unreadable
        return Collected(account, len(fetched.plays), fetched.unreadable, gap)

    def _find_gap(self, account: str, fetched: Fetched) -> Gap | None:
        if fetched.gap is None:
            return None
        whole = Gap(read_ms(fetched.gap.from_ms), read_ms(fetched.gap.to_ms), self.clock())
        gap = close_in_part(whole, self.list_heard(account))
        log.warning(
            "%s: plays between %s and %s may be missing, as more than 50 were played since the last request; %d of them were followed live",
            account, gap.begins_at, gap.ends_at, len(gap.heard_live),
        )  # fmt: skip
        return gap

    def _publish(self, connection: Connection, fetched: Fetched) -> None:
        if not fetched.plays:
            return
        report = self.publisher.publish(make_recent_events(connection.listener, fetched.plays))
        if report.acknowledged != report.sent:
            reasons = "; ".join(report.failed_by_reason) or "no answer"
            raise Unavailable(f"{report.sent - report.acknowledged} plays could not be published: {reasons}")

    def _plan(self, schedule: _Schedule, collected: Collected, every: timedelta) -> None:
        now = self.clock()
        if collected.failure is None:
            schedule.failures, schedule.due_at = 0, now + every
            return
        until: datetime | None = getattr(collected.failure, "until", None)
        schedule.due_at = max(until, now) if until else now + min(every, _FIRST_RETRY * 2 ** min(schedule.failures, 10))
        schedule.failures += 1
