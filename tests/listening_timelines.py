"""True listening as a time line, and what a player's answers show of it at any moment, with the faults that real answers have."""

from __future__ import annotations

import bisect
import random
from dataclasses import dataclass, field, replace

from soundlake.spotify.models import Album, Artist, Context, Device, PlayerState, Track

T0_MS = 1_767_297_600_000
NO_ANSWER = object()


@dataclass(frozen=True)
class Segment:
    """A time in which one thing is true: `track` plays or is paused from `position_ms` on; without a track nothing does, or an advert."""

    start_ms: int
    end_ms: int
    track: Track | None = None
    position_ms: int = 0
    speed: float = 1.0
    is_advert: bool = False
    is_private: bool = False

    def position_at(self, at_ms: float) -> int:
        return round(self.position_ms + (at_ms - self.start_ms) * self.speed)


@dataclass
class TruePlay:
    """What a listener heard of a track; `number` is its place in the time line."""

    track: Track
    start_ms: int
    end_ms: int = 0
    ms: int = 0
    is_skipped: bool = False


@dataclass
class Timeline:
    """Segments without holes, and the plays that they are made of. Each method goes on from the end of the one before."""

    now_ms: int = T0_MS
    segments: list[Segment] = field(default_factory=list)
    plays: list[TruePlay] = field(default_factory=list)
    position_ms: int = 0
    is_private: bool = False

    def start(self, track: Track, position_ms: int = 0) -> None:
        """Begin a play; nothing of it is heard yet."""
        self.position_ms = position_ms
        if not self.is_private:
            self.plays.append(TruePlay(track, self.now_ms, self.now_ms))
        self.track = track

    def hear(self, ms: int, speed: float = 1.0) -> None:
        """Play on, to the end of the track at most."""
        ms = max(0, min(ms, round(((self.track.duration_ms or 0) - self.position_ms) / speed)))
        self._add(ms, self.track, self.position_ms, speed)
        self.position_ms += round(ms * speed)
        if not self.is_private:
            self.plays[-1].ms += ms
            self.plays[-1].end_ms = self.now_ms

    def pause(self, ms: int, *, is_shown: bool = True) -> None:
        """Pause; `is_shown` false: the service says that nothing plays."""
        self._add(ms, self.track if is_shown else None, self.position_ms, 0)

    def seek(self, position_ms: int) -> None:
        self.position_ms = max(0, min(position_ms, (self.track.duration_ms or 0)))

    def skip(self) -> None:
        """Leave the track."""
        if not self.is_private:
            self.plays[-1].is_skipped = self.position_ms < (self.track.duration_ms or 0)

    def wait(self, ms: int, *, is_advert: bool = False) -> None:
        """Nothing plays, or an advert does."""
        self._add(ms, None, 0, 0, is_advert=is_advert)

    def _add(self, ms: int, track: Track | None, position_ms: int, speed: float, *, is_advert: bool = False) -> None:
        if ms > 0:
            segment = Segment(self.now_ms, self.now_ms + ms, track, position_ms, speed, is_advert, self.is_private)
            self.segments.append(segment)
            self.now_ms += ms

    def find(self, at_ms: float) -> Segment:
        """The segment of a moment."""
        if not hasattr(self, "_starts") or len(self._starts) != len(self.segments):
            self._starts = [segment.start_ms for segment in self.segments]
        return self.segments[max(0, bisect.bisect_right(self._starts, at_ms) - 1)]


def make_track(number: int, duration_ms: int, *, kind: str = "track") -> Track:
    """A track of its own name and id."""
    track_id = f"{number:022}"
    return Track(
        id=track_id, uri=f"spotify:{kind}:{track_id}", type=kind, name=f"Song {number}", duration_ms=duration_ms,
        artists=(Artist(id="a" * 22, name=f"Artist {number % 97}"),), album=Album(id="b" * 22, name="Album"),
    )  # fmt: skip


def show(segment: Segment, at_ms: float) -> PlayerState | None:
    """The true answer of a moment."""
    device = Device(id="d", name="Device", type="Computer", is_private_session=segment.is_private)
    if segment.is_advert:
        return PlayerState(is_playing=True, currently_playing_type="ad", device=device)
    if segment.track is None:
        return None
    return PlayerState(
        is_playing=segment.speed > 0, item=segment.track, progress_ms=segment.position_at(at_ms), currently_playing_type=segment.track.type,
        device=device, context=Context(type="album", uri="spotify:album:b"), shuffle_state=False, repeat_state="off",
    )  # fmt: skip


@dataclass(frozen=True)
class Faults:
    """How often answers are wrong, as a share of the polls, changes of song or sessions; `ALL` has them all."""

    empty: float = 0.0
    lost: float = 0.0
    outage: float = 0.0
    frozen: float = 0.0
    null_item: float = 0.0
    null_progress: float = 0.0
    odd: float = 0.0
    relinked: float = 0.0
    old_clock: float = 0.0
    old_song: float = 0.0
    left_running: float = 0.0
    unmeasured: float = 0.0
    jitter_ms: int = 0


ALL_FAULTS = Faults(
    empty=0.005, lost=0.02, outage=0.0002, frozen=0.01, null_item=0.002, null_progress=0.002, odd=0.0003, relinked=0.03, old_clock=0.05,
    old_song=0.05, left_running=0.03, unmeasured=0.02, jitter_ms=600,
)  # fmt: skip


class FaultyPlayer:
    """Answers about a time line, with faults: empty ones in mid-song, frozen, lost, of the song before, with the song before's clock."""

    def __init__(self, timeline: Timeline, faults: Faults, seed: int = 0) -> None:
        self.timeline = timeline
        self.faults = faults
        self.random = random.Random(seed)
        self._fault_of: dict[int, tuple[str, int]] = {}
        self._empty_until = self._lost_until = 0.0
        self._segments = _leave_running(timeline, faults, self.random)
        self._starts = [segment.start_ms for segment in self._segments]
        self._unmeasured_sessions: dict[int, bool] = {}

    def answer(self, at_ms: float) -> object:  # noqa: PLR0911  # a line a fault
        """The answer of a moment: a PlayerState, None (204), or NO_ANSWER."""
        faults, draw = self.faults, self.random.random
        if at_ms < self._lost_until or draw() < faults.lost:
            return NO_ANSWER
        if draw() < faults.outage:
            self._lost_until = at_ms + self.random.uniform(30_000, 600_000)
            return NO_ANSWER
        place = max(0, bisect.bisect_right(self._starts, at_ms) - 1)
        state = self._show(place, at_ms)
        if state is None or state.item is None:
            return state
        if at_ms < self._empty_until:
            return None
        if draw() < faults.empty:
            self._empty_until = at_ms + self.random.uniform(0, 12_000)
            return None
        if draw() < faults.null_item:
            return replace(state, item=None, progress_ms=None)
        if draw() < faults.null_progress:
            return replace(state, progress_ms=None)
        if draw() < faults.odd and not state.is_private:
            return replace(state, item=self.timeline.segments[0].track, progress_ms=self.random.randrange(100_000))
        jitter = self.random.randint(-faults.jitter_ms, faults.jitter_ms) if state.is_playing and state.progress_ms else 0
        return replace(state, progress_ms=max(0, (state.progress_ms or 0) + jitter))

    def _show(self, place: int, at_ms: float) -> PlayerState | None:  # noqa: PLR0911  # a line a fault
        segment = self._segments[place]
        if self.random.random() < self.faults.frozen:  # an answer from a cache
            back = max(at_ms - self.random.uniform(2_000, 12_000), segment.start_ms)
            return show(segment, back)
        state = show(segment, at_ms)
        if state is None or state.item is None:
            return state
        if self._is_unmeasured(segment):
            return replace(state, progress_ms=0)
        before = self._segments[place - 1] if place else None
        fault, lasts_ms = self._find_fault(place, segment)
        if fault == "relinked" and at_ms - segment.start_ms > lasts_ms:
            return replace(state, item=replace(state.item, id=f"r{state.item.id}"[:22], uri=f"{state.item.uri}r"))
        if before is None or before.track is None or before.speed == 0 or segment.speed == 0 or before.track is segment.track:
            return state
        if before.is_private != segment.is_private or at_ms - segment.start_ms > lasts_ms:
            return state
        if fault == "old_clock":
            return replace(state, progress_ms=before.position_at(at_ms))
        if fault == "old_song":
            return show(before, at_ms)
        return state

    def _find_fault(self, place: int, segment: Segment) -> tuple[str, int]:
        """The fault of the beginning of a segment, drawn once."""
        if place not in self._fault_of:
            draw, faults = self.random.random(), self.faults
            if draw < faults.old_clock:
                self._fault_of[place] = ("old_clock", self.random.randint(3_000, 15_000))
            elif draw < faults.old_clock + faults.old_song:
                self._fault_of[place] = ("old_song", self.random.randint(3_000, 10_000))
            elif draw < faults.old_clock + faults.old_song + faults.relinked:
                self._fault_of[place] = ("relinked", self.random.randint(0, 100_000))
            else:
                self._fault_of[place] = ("", 0)
        return self._fault_of[place]

    def _is_unmeasured(self, segment: Segment) -> bool:
        """Whether the session is on a speaker that reports no position: an hour of the time line as a whole."""
        hour = (segment.start_ms - T0_MS) // 3_600_000
        if hour not in self._unmeasured_sessions:
            self._unmeasured_sessions[hour] = self.random.random() < self.faults.unmeasured
        return self._unmeasured_sessions[hour]


def _leave_running(timeline: Timeline, faults: Faults, draw: random.Random) -> list[Segment]:
    """The segments as they are shown: after some sessions the last song goes on far past its end."""
    shown: list[Segment] = []
    for segment in timeline.segments:
        before = shown[-1] if shown else None
        is_end = segment.track is None and not segment.is_advert and before is not None and before.speed > 0
        if (
            is_end
            and before
            and before.track
            and before.position_at(before.end_ms) >= (before.track.duration_ms or 0)
            and draw.random() < faults.left_running
        ):
            shown[-1] = replace(before, end_ms=segment.end_ms)
        else:
            shown.append(segment)
    return shown


def make_random_timeline(plays: int, seed: int = 0) -> Timeline:
    """Sessions of a listener who plays, pauses, seeks, skips, repeats, hears podcasts and adverts, and goes private."""
    draw, line = random.Random(seed), Timeline()
    tracks = [make_track(number, draw.randint(90_000, 420_000)) for number in range(2_000)]
    tracks += [make_track(number, draw.randint(12_000, 60_000)) for number in range(2_000, 2_080)]
    episodes = [make_track(number, draw.randint(1_200_000, 5_400_000), kind="episode") for number in range(3_000, 3_050)]
    while len(line.plays) < plays:
        line.is_private = draw.random() < 0.03
        for _ in range(draw.randint(3, 25)):
            track = draw.choice(episodes) if draw.random() < 0.01 else draw.choice(tracks)
            _play_at_random(line, track, draw)
            if draw.random() < 0.05:
                line.wait(draw.randint(10_000, 30_000), is_advert=True)
        line.is_private = False
        line.wait(draw.randint(40_000, 600_000) if draw.random() < 0.9 else 3 * 3_600_000)
    return line


def _play_at_random(line: Timeline, track: Track, draw: random.Random) -> None:
    speed = 1.5 if track.type == "episode" and draw.random() < 0.5 else 1.0
    line.start(track)
    duration = track.duration_ms or 0
    fate = draw.random()
    until = duration if fate < 0.6 else round(min(duration, draw.expovariate(1 / 40_000) + 2_000))
    while line.position_ms < until:
        ahead = round((until - line.position_ms) / speed)
        act = draw.random()
        line.hear(ahead if act < 0.85 else draw.randint(0, ahead), speed)
        if line.position_ms >= until:
            break
        if act < 0.95:
            line.pause(round(draw.expovariate(1 / 60_000)) + 1_000, is_shown=draw.random() < 0.8)
        elif act < 0.98:
            line.seek(draw.randint(0, max(0, until - 1)) if until < duration else line.position_ms + draw.randint(-30_000, 30_000))
        else:
            line.pause(draw.randint(300_000, 1_800_000), is_shown=draw.random() < 0.5)
    if until < duration:
        line.skip()
    elif draw.random() < 0.04:
        _play_at_random(line, track, draw)
