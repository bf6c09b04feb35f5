"""The loop over all connected accounts: ask, follow, keep, publish."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from soundlake.broker import Publisher
from soundlake.broker.protocol import Clock
from soundlake.errors import SoundlakeError, Unavailable
from soundlake.spotify.client import PlayerAnswer, SpotifyAPIClient
from soundlake.spotify.collection import Gap
from soundlake.spotify.errors import BudgetSpent
from soundlake.spotify.plays import NowPlaying, Outcome, Play, PlayTracker
from soundlake.spotify.plays.current import Current, find_current
from soundlake.spotify.plays.events import make_events
from soundlake.spotify.plays.instants import read_ms, write_ms
from soundlake.spotify.plays.planner import Pace, plan_poll
from soundlake.spotify.poller.listening_store import Listening, ListeningStore, Owner
from soundlake.spotify.poller.player_source import PlayerSource
from soundlake.spotify.poller.song_times import SongTimes, log_song_times
from soundlake.spotify.tokens import Connection, TokenStore

log = logging.getLogger(__name__)

LEASE_TRY = timedelta(seconds=20)
"""How often a poller tries for accounts that another process follows: it takes over within a minute of that one's end."""
_FIRST_LOOK = timedelta(seconds=2)
_GAP = timedelta(minutes=10)
"""Twice the longest wait between two polls of an idle account: after a longer time without an answer a gap is recorded."""
_HEARD_KEPT = 100
_LONGEST_POLL = timedelta(minutes=2)  # a call ends after 20 s, twice with a new token; a lock that never opens does not
_SHORT_WAIT = timedelta(seconds=31)  # the budget of half a minute is for pace, and no failure
_FIRST_RETRY, _LONGEST_RETRY = timedelta(seconds=5), timedelta(minutes=5)


class SongObserver(Protocol):
    """Is given each change of the song, such as for recommendations. A failure of it costs nothing but a line in the log."""

    async def take_song(self, listener: str, song: NowPlaying) -> None:
        """The song that `listener` plays now."""


@dataclass(frozen=True)
class PollReport:
    """How a poll of an account ended: what plays, or the failure; `next_at` (UTC) is the time of the next one."""

    account: str
    current: Current | None
    next_at: datetime
    failure: SoundlakeError | None = None


@dataclass
class Poller:
    """Follows all connected accounts in one process.

    `find_pace` says what the budget allows an account; `show` keeps what a listener plays now, for the page; `measure` is given the seconds
    of each leg of a new song; `sleep` waits by `clock`.
    """

    store: TokenStore
    listenings: ListeningStore
    make_client: Callable[[Connection], SpotifyAPIClient]
    publisher: Publisher
    clock: Clock
    sleep: Callable[[float], Awaitable[None]]
    find_pace: Callable[[Connection, int], Pace]
    show: Callable[[str, Current | None], None] = lambda _listener, _current: None
    observer: SongObserver | None = None
    measure: Callable[[Mapping[str, float]], None] = lambda _seconds: None
    _verified: set[str] = field(default_factory=set)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _playing: set[str] = field(default_factory=set)
    _owners: dict[str, Owner] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The player, and its replacement."""
        self._source = PlayerSource(self.clock)

    async def run(self, observe: Callable[[PollReport], None]) -> None:
        """Follow every account until cancelled, the first one within 2 seconds of its sign-in, others within 20; no failure ends it."""
        try:
            while True:
                for account in self._list_accounts():
                    task = self._tasks.get(account)
                    if task is None or task.done():
                        self._note_end(account, task)
                        self._tasks[account] = asyncio.create_task(self._follow(account, observe))
                await self.sleep((LEASE_TRY if self._tasks else _FIRST_LOOK).total_seconds())
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _follow(self, account: str, observe: Callable[[PollReport], None]) -> None:
        """Poll one account while it is connected; returns where another process follows it."""
        with self.listenings.try_lease(account, self.clock()) as owner:
            if owner is not None:
                if self._owners.get(account) != owner:
                    log.warning(
                        "%s is followed by process %d on %s since %s; waiting for its end", account, owner.pid, owner.host, owner.since
                    )
                self._owners[account] = owner
                return
            failures = 0
            while (connection := self.store.read(account)) is not None:
                report = await self.poll(connection, failures)
                failures = 0 if report.failure is None else failures + 1
                observe(report)
                await self.sleep(max(0.0, (report.next_at - self.clock()).total_seconds()))

    async def poll(self, connection: Connection, failures: int = 0) -> PollReport:
        """Ask once and take the answer; `failures` before this one without an answer between them make the wait after it longer."""
        listening = self.listenings.read(connection.account)
        try:
            async with asyncio.timeout(_LONGEST_POLL.total_seconds()):
                answer = await self._ask(connection, listening)
            await self._take(connection, listening, answer)
            pace = self.find_pace(connection, max(1, len(self._playing)))
        except TimeoutError:
            error = Unavailable(f"a poll of {connection.account} did not end within {_LONGEST_POLL.total_seconds():.0f} s")
            return self._note_failure(listening, error, failures)
        except SoundlakeError as error:
            return self._note_failure(listening, error, failures)
        except OSError as cause:
            return self._note_failure(listening, Unavailable(f"the state of {connection.account} could not be kept: {cause}"), failures)
        except Exception as cause:
            log.exception("a poll of %s failed", connection.account)  # the loop goes on: it never ends in silence (M01)
            return self._note_failure(listening, Unavailable(f"a poll failed: {type(cause).__name__}"), failures)
        now = self.clock()
        next_ms = plan_poll(listening.state, write_ms(now), pace)
        return PollReport(connection.account, find_current(listening.state, now), read_ms(next_ms))

    async def _ask(self, connection: Connection, listening: Listening) -> PlayerAnswer:
        """What the player shows; the first time after it was made sure that the token is this account's (T08)."""
        client = self.make_client(connection)
        if connection.account not in self._verified:
            await client.verify_account()
            self._verified.add(connection.account)
        return await self._source.ask(client, is_private=listening.state.is_private)

    async def _take(self, connection: Connection, listening: Listening, answer: PlayerAnswer) -> None:
        """Follow, keep, publish, in this order: a process that ends between them publishes the same events again."""
        tracker = PlayTracker(connection.account, listening.state)
        outcomes = tracker.see(answer.at, answer.state)
        listening.outbox += outcomes
        _note_heard(listening, outcomes, answer.at)
        self.listenings.write(listening)
        (self._playing.add if listening.state.play is not None else self._playing.discard)(connection.account)
        kept_at = self.clock()
        if listening.outbox:
            self._publish(connection, listening)
        published_at = self.clock()
        self._show(connection, listening)
        times = SongTimes(answer.at, kept_at, published_at, shown_at=self.clock())
        for outcome in outcomes:
            if isinstance(outcome, NowPlaying):
                await self._announce(connection, outcome, times)

    def _show(self, connection: Connection, listening: Listening) -> None:
        """Give the page what plays; a cache that does not answer costs the page only."""
        try:
            self.show(connection.listener, find_current(listening.state, self.clock()))
        except (SoundlakeError, OSError) as error:
            log.warning("what %s plays cannot be shown: %s", connection.account, error)

    def _publish(self, connection: Connection, listening: Listening) -> None:
        """Publish what waits; what cannot be published now waits for the next answer."""
        report = self.publisher.publish(make_events(connection.listener, listening.outbox))
        if report.acknowledged != report.sent:
            reasons = "; ".join(report.failed_by_reason) or "no answer"
            log.warning(
                "%s: %d events could not be published and are kept: %s", connection.account, report.sent - report.acknowledged, reasons
            )
            return
        listening.outbox = []
        self.listenings.write(listening)

    async def _announce(self, connection: Connection, song: NowPlaying, times: SongTimes) -> None:
        """Give the song to the observer, and say how long each leg took."""
        if self.observer is not None:
            try:
                await self.observer.take_song(connection.listener, song)
            except Exception:
                log.exception("the observer failed on a song of %s", connection.account)
        seconds = times.measure_legs(read_ms(song.started_ms), observed_at=self.clock())
        log_song_times(connection.account, seconds)
        self.measure(seconds)

    def _note_failure(self, listening: Listening, error: SoundlakeError, failures: int) -> PollReport:
        """Keep since when there is no answer. The wait grows to five minutes and never ends; a limit says itself when it ends."""
        now = self.clock()
        if isinstance(error, BudgetSpent) and error.until - now <= _SHORT_WAIT:
            return PollReport(listening.account, find_current(listening.state, now), error.until)
        kept = self.listenings.read(listening.account)
        kept.failed_since, kept.failure = kept.failed_since or now, error.message
        try:
            self.listenings.write(kept)
        except OSError as cause:
            log.warning("the failure of %s could not be kept: %s", listening.account, cause)
        until: datetime | None = getattr(error, "until", None)
        next_at = max(until, now) if until else now + min(_LONGEST_RETRY, _FIRST_RETRY * 2 ** min(failures, 10))
        return PollReport(listening.account, None, min(next_at, now + _LONGEST_RETRY), error)

    def _list_accounts(self) -> list[str]:
        """The connected accounts; those that are followed already if the store cannot be read now."""
        try:
            return self.store.list_accounts()
        except (SoundlakeError, OSError):
            log.exception("the connected accounts cannot be listed; those that are known are followed")
            return list(self._tasks)

    def _note_end(self, account: str, task: asyncio.Task[None] | None) -> None:
        """A task that ended with an error is begun again, and its account shows why: never in silence (M01)."""
        error = None if task is None or task.cancelled() else task.exception()
        if error is None:
            return
        log.error("following %s ended with an error and begins again", account, exc_info=error)
        why = error if isinstance(error, SoundlakeError) else Unavailable(f"following {account} ended: {type(error).__name__}")
        with suppress(OSError):
            self._note_failure(self.listenings.read(account), why, 0)


def _note_heard(listening: Listening, outcomes: Sequence[Outcome], at: datetime) -> None:
    """Keep the newest plays, and a gap if the answer before is too long ago (M01)."""
    if listening.answered_at is not None and at - listening.answered_at > _GAP:
        listening.gaps.append(Gap(listening.answered_at, at, at))
        log.warning("%s: nothing was followed between %s and %s", listening.account, listening.answered_at, at)
    heard = [(read_ms(play.started_ms), read_ms(play.ended_ms)) for play in outcomes if isinstance(play, Play)]
    listening.heard = [*listening.heard, *heard][-_HEARD_KEPT:]
    listening.answered_at, listening.failed_since, listening.failure = at, None, None
