"""What one account's player does in time. Player answers, recently-played and the truth are all derived from it."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

from soundlake.spotify.fake.catalogue import FakeTrack

Motion = Literal["run", "hold", "stuck", "none", "null_item", "gap"]
"""Plays; paused; plays while the reported progress does not move; nothing (204); an item of null (an advert); no answer at all."""

_LOOK_BACK = 20
HEARD: frozenset[Motion] = frozenset({"run", "stuck"})


@dataclass(frozen=True, slots=True)
class FakeDevice:
    """A device of an account."""

    id: str | None = "5fbb3ba6aa454b5534c4ba43a8c7e8e45a63ad0e"
    name: str = "Kitchen"
    type: str = "Speaker"


@dataclass(frozen=True, slots=True)
class PlayerMode:
    """How the player is set while a segment lasts; `context_uri` is null where it plays from no context."""

    device: FakeDevice = FakeDevice()
    is_private: bool = False
    is_shuffle: bool = False
    repeat: Literal["off", "track", "context"] = "off"
    context_uri: str | None = None


DEFAULT_MODE = PlayerMode()


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time [start_ms, end_ms) (UTC, epoch ms) in which nothing changes but, where it runs, the progress.

    `play` numbers the plays of an account; segments of one play have its number. `changes` are fields to write over the answer's, in the
    form of a listening case's `with`. An offline segment is heard, and no answer shows it. `speed` is that of a podcast's progress.
    """

    start_ms: int
    end_ms: int
    motion: Motion
    track: FakeTrack | None = None
    progress_ms: int = 0
    play: int | None = None
    mode: PlayerMode = DEFAULT_MODE
    null_type: str = "ad"
    is_offline: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    speed: float = 1.0

    def find_progress(self, now_ms: int) -> int:
        """The progress (ms) that the player reports at this time."""
        return self.progress_ms + (round((now_ms - self.start_ms) * self.speed) if self.motion == "run" else 0)


@dataclass(frozen=True, slots=True)
class Listing:
    """An entry of recently-played: its stamp `played_at_ms`, and `listed_ms`, from which on the list has it (both UTC, epoch ms)."""

    played_at_ms: int
    listed_ms: int
    track: FakeTrack
    play: int | None = None
    context_uri: str | None = None
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class TruePlay:
    """A play that really happened: times in UTC (epoch ms), `heard_ms` outside private sessions, `private_ms` inside.

    `start_ms` and `end_ms` are those of what was heard outside private sessions, of all where it was private throughout.
    """

    account: str
    play: int
    track: FakeTrack
    start_ms: int
    end_ms: int
    heard_ms: int
    private_ms: int
    reason_end: str | None
    device: FakeDevice
    is_shuffle: bool
    is_offline: bool
    context_uri: str | None

    @property
    def is_private(self) -> bool:
        """Whether all of it was heard in a private session."""
        return self.heard_ms == 0 and self.private_ms > 0


@dataclass(slots=True)
class Timeline:
    """The segments of one account in the order of time, its entries of recently-played, and how its plays ended."""

    account: str
    segments: list[Segment] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    endings: dict[int, str] = field(default_factory=dict)

    @property
    def end_ms(self) -> int | None:
        """The end of the last segment."""
        return self.segments[-1].end_ms if self.segments else None

    def add(self, segment: Segment) -> None:
        """Append a segment; one without length is left out. Raises ValueError if it begins before the last one ends."""
        if segment.end_ms <= segment.start_ms:
            return
        if self.segments and segment.start_ms < self.segments[-1].end_ms:
            raise ValueError(f"{self.account}: a segment begins at {segment.start_ms}, before the last one ends")
        self.segments.append(segment)

    def add_listing(self, listing: Listing) -> None:
        """Add an entry of recently-played."""
        insort(self.listings, listing, key=attrgetter("played_at_ms"))

    def find(self, now_ms: int) -> tuple[Segment | None, Segment | None]:
        """The segment at this time and the one before it; None where there is none."""
        at = bisect_right(self.segments, now_ms, key=attrgetter("start_ms"))
        begun = self.segments[max(at - 2, 0) : at]
        if begun and now_ms < begun[-1].end_ms:
            return begun[-1], begun[0] if len(begun) > 1 else None
        return None, begun[-1] if begun else None

    def find_last_run(self, now_ms: int) -> Segment | None:
        """The last segment that began by this time in which something played; None where there is none."""
        at = bisect_right(self.segments, now_ms, key=attrgetter("start_ms"))
        return next((segment for segment in reversed(self.segments[max(at - _LOOK_BACK, 0) : at]) if segment.motion == "run"), None)

    def list_history(self, now_ms: int, newest: int = 50, *, with_repeats: bool = False) -> list[Listing]:
        """The newest entries that the list has at this time, newest first; with the second entries of resumed songs where asked for."""
        found: list[Listing] = []
        for listing in reversed(self.listings):
            if listing.listed_ms <= now_ms and (with_repeats or not listing.is_repeat):
                found.append(listing)
                if len(found) == newest:
                    break
        return found

    def list_plays(self, until_ms: int | None = None) -> list[TruePlay]:
        """The plays that ended by `until_ms`, in the order of their start."""
        parts: dict[int, list[Segment]] = {}
        for segment in self.segments:
            if segment.play is not None and segment.motion in HEARD:
                parts.setdefault(segment.play, []).append(segment)
        plays = (self._sum_up(play, heard) for play, heard in parts.items())
        return [play for play in plays if until_ms is None or play.end_ms <= until_ms]

    def _sum_up(self, play: int, heard: list[Segment]) -> TruePlay:
        public = [part for part in heard if not part.mode.is_private]
        shown = public or heard
        track = shown[0].track
        if track is None:
            raise ValueError(f"{self.account}: play {play} has no track")
        return TruePlay(
            account=self.account,
            play=play,
            track=track,
            start_ms=shown[0].start_ms,
            end_ms=shown[-1].end_ms,
            heard_ms=_measure(public),
            private_ms=_measure(heard) - _measure(public),
            reason_end=self.endings.get(play),
            device=shown[0].mode.device,
            is_shuffle=shown[0].mode.is_shuffle,
            is_offline=shown[0].is_offline,
            context_uri=shown[0].mode.context_uri,
        )


def _measure(parts: list[Segment]) -> int:
    return sum(part.end_ms - part.start_ms for part in parts)
