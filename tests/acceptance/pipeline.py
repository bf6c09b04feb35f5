"""A case from the fake Spotify to the log: client, poller and backfill follow its account in virtual time, other sources are imported."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa
from tests.acceptance.courses import Course
from tests.acceptance.player_answers import find_artist, find_isrc, find_name, find_start, write_track
from tests.acceptance.source_files import read_files
from tests.spotify_home import SpotifyHome

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import TOPICS
from soundlake.contract.decode import decode_records
from soundlake.spotify.answers import read_answer
from soundlake.spotify.backfill import EVERY, Backfill
from soundlake.spotify.client import SpotifyAPIClient
from soundlake.spotify.collection import HistoryStore
from soundlake.spotify.fake import AdjustableClock, FakeApp, FakeSpotify, FakeTrack, run_in_virtual_time, write_timeline
from soundlake.spotify.fake.clock import to_ms
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.fake.scripted import list_raw_answers
from soundlake.spotify.fake.web_api import PLAYER_PATHS
from soundlake.spotify.models import Track
from soundlake.spotify.plays import Play
from soundlake.spotify.plays.current import Current
from soundlake.spotify.plays.events import make_events
from soundlake.spotify.plays.outcomes import Setting
from soundlake.spotify.plays.songs import describe_song
from soundlake.spotify.poller import Listening, ListeningStore, Poller, PollReport, find_pace
from soundlake.spotify.status import SpotifyStatus, read_spotify_status
from soundlake.spotify.tokens import Connection

Case = Mapping[str, Any]
_BEFORE = timedelta(seconds=30)
_LAST_LIST = timedelta(minutes=21)
_FORGOTTEN = timedelta(hours=13)
"""After the end of a case: until recently-played was asked for again, and until a play that was left paused is closed."""


@dataclass
class Observed:
    """What a course left behind: its events by topic, the poller's reports and what it showed with their times, and the state at its end.

    `statuses` are read every minute. Times are seconds after t0.
    """

    course: Course
    listener: str
    start: datetime
    events: dict[str, pa.Table] = field(default_factory=dict)
    reports: list[tuple[float, PollReport]] = field(default_factory=list)
    shown: list[tuple[float, Current | None]] = field(default_factory=list)
    statuses: list[tuple[float, SpotifyStatus]] = field(default_factory=list)
    calls: list[tuple[float, str]] = field(default_factory=list)
    listening: Listening | None = None

    def list_calls(self, path: str) -> list[float]:
        """When paths that begin so were asked for."""
        return [at for at, one in self.calls if one.startswith(path)]


def observe(course: Course, folder: Path) -> Observed:
    """Follow the account of a course and import what other sources have of it."""
    start = find_start(course.case)
    return run_in_virtual_time(lambda clock: Pipeline(course, folder, start, clock).run(), start - _BEFORE)


class Pipeline:
    """The home of one course, and the fake that its account is at."""

    def __init__(self, course: Course, folder: Path, start: datetime, clock: AdjustableClock) -> None:
        self.course, self.folder, self.start, self.clock = course, folder, start, clock
        self.given: Case = course.case["given"]
        fake = FakeSpotify(clock)
        fake.add_app(FakeApp())
        self.home = SpotifyHome(fake, clock, folder)
        self.states = _list_states(course.case)
        self.end_s = max((_get_end(state) for state in self.states), default=0.0)
        self._script()
        self.app = self.home.find_app()
        self.account = self.home.connect(course.user).account
        self.observed = Observed(course, self.account, start)
        self.broker = MemoryBroker(clock)
        self.broker.create_topics(TOPICS, partitions=1)
        self.publisher = Publisher(self.broker, clock)

    def _script(self) -> None:
        """What the player shows and the list has."""
        case, fake, t0_ms = self.course.case, self.home.fake, to_ms(self.start)
        tracks = {letter: _make_track(case, letter) for letter in case["tracks"]}
        recent = [*self.given.get("recent", ()), *self.given.get("recent_after_gap", ())]
        silence = [] if self.states else [{"none": [0, 1]}]
        timeline = write_timeline(self.course.user, t0_ms, tracks, [*self.states, *silence], recent=recent)
        fake.add_account(timeline)
        self.end_s = max([self.end_s, *(stamp for _, stamp in recent)])
        for fault in list_raw_answers(self.course.user, t0_ms, [_name_item(case, state) for state in self.states]):
            fake.faults.add(fault)
        if self.given.get("first_call_fails"):
            fake.faults.add(Fault("bad_gateway", paths=PLAYER_PATHS, count=1))

    async def run(self) -> Observed:
        """From before t0 until everything has come in."""
        await self._wait_until(float(self.given.get("first_poll_at", 0)))
        tasks = [asyncio.ensure_future(self._keep_status()), asyncio.ensure_future(self._collect_history())]
        moments = [*sorted(self.given.get("restart_at", ())), self.end_s + _LAST_LIST.total_seconds()]
        for moment in moments:
            await self._follow_until(moment)
        listening = ListeningStore(self.folder / "listening").read(self.account)
        if listening.state.play is not None or listening.state.leaving is not None:
            await self._follow_until(moments[-1] + _FORGOTTEN.total_seconds())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._publish_live_plays()
        return self._finish()

    async def _follow_until(self, at_s: float) -> None:
        """One process of the poller; none where the case has nothing for it."""
        if not self.states:
            await self._wait_until(at_s)
            return
        task = asyncio.ensure_future(self.make_poller().run(lambda report: self.observed.reports.append((self.find_second(), report))))
        await self._wait_until(at_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def make_poller(self) -> Poller:
        """A poller as a process of this home has it."""
        return Poller(
            store=self.home.store, listenings=ListeningStore(self.folder / "listening"), make_client=self._make_client,
            publisher=self.publisher, clock=self.clock, sleep=self.clock.sleep,
            find_pace=lambda one, count: find_pace(self.home.budget.measure_use(self._make_client(one).app), count),
            show=lambda _, current: self.observed.shown.append((self.find_second(), current)),
        )  # fmt: skip

    def find_second(self) -> float:
        """The time, in seconds after t0."""
        return (self.clock() - self.start).total_seconds()

    async def _collect_history(self) -> None:
        backfill = Backfill(self.home.store, HistoryStore(self.folder / "history"), self._make_client, self.publisher, self.clock)
        await backfill.run(EVERY, self.clock.sleep, lambda _: None)

    async def _keep_status(self) -> None:
        while True:
            self.observed.statuses.append((self.find_second(), read_spotify_status(self.home.make_records(), self.clock())))
            await self.clock.sleep(60)

    def _publish_live_plays(self) -> None:
        """Live plays that the case gives as such and that overlap, which no player can show."""
        given = self.given.get("live_plays", ())
        if given and not self.states:
            plays = [_make_play(self.course.case, self.start, *play[:3]) for play in given]
            self.publisher.publish(make_events(self.account, plays))

    def _finish(self) -> Observed:
        seen, now = self.observed, self.clock()
        seen.listening = ListeningStore(self.folder / "listening").read(self.account)
        seen.calls = [(call.at_ms / 1000 - self.start.timestamp(), call.path) for call in self.home.fake.calls]
        for topic in TOPICS:
            records = self.broker.fetch(topic.name, 0, 0, max_records=10**6, max_bytes=10**9)
            times = pa.repeat(pa.scalar(to_ms(now)), len(records.values))
            seen.events[topic.table] = decode_records(topic, records.values, times).events
        files = list(read_files(self.course.case, self.account, self.folder / "files", now))
        seen.events["history"] = pa.concat_tables([seen.events["history"], *files], promote_options="default")
        return seen

    def _make_client(self, connection: Connection) -> SpotifyAPIClient:
        return self.home.make_client(connection.account, self.app)

    async def _wait_until(self, at_s: float) -> None:
        await self.clock.sleep(max(0.0, at_s - self.find_second()))


def _list_states(case: Case) -> list[dict[str, Any]]:
    """The states of a case; without them those of its live plays, if a player can play them: one after the other."""
    given = case["given"]
    if "states" in given:
        return list(given["states"])
    plays = sorted(given.get("live_plays", ()), key=lambda play: play[1])
    intervals = {letter: (begin, end) for letter, (begin, end) in given.get("live_intervals", {}).items()}
    spans = [(letter, start, ms, intervals.get(letter, (start, start + ms / 1_000))[1]) for letter, start, ms, *_ in plays]
    if any(before[3] > after[1] for before, after in pairwise(spans)):
        return []
    states: list[dict[str, Any]] = []
    end = min(0.0, *(span[1] for span in spans)) if spans else 0.0
    for letter, start, ms, until in spans:
        pause, middle = until - start - ms / 1_000, start + ms / 2_000
        states += [{"none": [end, start]}] if start > end else []
        if pause > 0:
            states += [{"run": [start, middle, letter, 0]}, {"hold": [middle, middle + pause, letter, ms // 2]},
                       {"run": [middle + pause, until, letter, ms // 2]}]  # fmt: skip
        else:
            states.append({"run": [start, until, letter, 0]})
        end = until
    return [*states, {"none": [end, end + 60]}] if states else []


def _get_end(state: Mapping[str, Any]) -> float:
    return float(next((value[1] for kind, value in state.items() if kind not in ("with", "raw")), 0))


def _name_item(case: Case, state: dict[str, Any]) -> dict[str, Any]:
    """An odd answer that names a letter of `tracks` as its item."""
    raw = state.get("raw")
    if raw is None:
        return state
    letter = raw.get("track", raw.get("item"))
    if not isinstance(letter, str):
        return state
    rest = {name: value for name, value in raw.items() if name not in ("track", "item")}
    return {"raw": {**rest, "item": write_track(case, letter)}}


def _make_track(case: Case, letter: str) -> FakeTrack:
    artist = find_artist(case, letter)
    return FakeTrack(
        id=f"{letter:0>22}", name=find_name(case, letter), duration_ms=case["tracks"][letter], artist_id=f"{artist:0>22}",
        artist_name=artist, album_id=f"{'album':0>22}", album_name="Album", known_isrc=find_isrc(case, letter) or "",
    )  # fmt: skip


def _make_play(case: Case, start: datetime, letter: str, start_s: float, ms: int) -> Play:
    started_ms, duration = to_ms(start) + round(start_s * 1_000), case["tracks"].get(letter)
    is_done = duration is not None and ms >= duration - 2_000
    return Play(
        event_id=str(uuid5(NAMESPACE_URL, f"{case['id']}/{letter}/{start_s}/{ms}")),
        song=describe_song(read_answer(Track, write_track(case, letter))),
        started_ms=started_ms, ended_ms=started_ms + ms, ms_played=ms, is_skipped=False if is_done else None, reason_start=None,
        reason_end="trackdone" if is_done else None, setting=Setting(),
    )  # fmt: skip
