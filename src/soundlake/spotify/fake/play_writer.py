"""Writes planned plays into a time line, one after another: silence and adverts between them, pauses and seeks within them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from random import Random

from soundlake.spotify.fake.catalogue import FakeTrack
from soundlake.spotify.fake.habits import Action, Habits, draw_pause_ms
from soundlake.spotify.fake.timeline import FakeDevice, Listing, Motion, PlayerMode, Segment, Timeline

_JOINED_MS = 2_500
"""A shorter silence between two songs is the change itself; the player has no answer for it."""
_ADVERT_MS = (15_000, 62_000)
_SHOWN_PAUSED_MS = 600_000
"""How long the player still shows the last song after it was stopped; then there is nothing (204)."""
_RELISTED_PAUSE_MS = 600_000
"""A song that is resumed after so long is in recently-played twice, where that fault is on."""
_SHORTEST_STOP_MS = 500
_LIST_LAG_MS = 3_000
_STAMP_SPREAD_MS = 400
_OTHER_DEVICES = (
    FakeDevice("sl_device_kitchen", "Kitchen", "Speaker"),
    FakeDevice(None, "Living room group", "Speaker"),
    FakeDevice("sl_device_phone", "Phone", "Smartphone"),
)


@dataclass(frozen=True, slots=True)
class PlannedPlay:
    """What a listener wants to hear: from `start_ms` (UTC, epoch ms), up to the position `stop_ms` or the end of the track.

    A device that is offline reports its plays at `delivered_ms`.
    """

    start_ms: int
    delivered_ms: int
    stop_ms: int
    reason_end: str
    is_offline: bool
    track: FakeTrack
    mode: PlayerMode

    @property
    def is_done(self) -> bool:
        """Whether it is played to its end."""
        return self.reason_end == "trackdone" or self.stop_ms >= self.track.duration_ms


class PlayWriter:
    """Writes one account's time line. An account plays one thing at a time: a play that would overlap begins when the last one ends."""

    def __init__(self, timeline: Timeline, habits: Habits, seed: int, start_ms: int) -> None:
        self.timeline, self.settled_ms = timeline, start_ms
        self._habits, self._random = habits, Random(f"{seed}/{timeline.account}")
        self._cursor_ms, self._shift_ms, self._plays = start_ms, 0, 0
        self._last: PlannedPlay | None = None
        self._left_at_ms = 0
        self._carried: list[PlannedPlay] = []

    def write(self, plays: Sequence[PlannedPlay], until_ms: int, *, is_away: bool = False) -> None:
        """Write the plays of the sessions that begin before `until_ms`; the time line is settled up to there.

        The last one waits until what follows it is known. Where silence is shortened, the time line is settled up to its last play.
        """
        waiting = [*self._carried, *plays]
        self._carried = [waiting.pop()] if plays else []
        for play, following in zip_longest(waiting, [*waiting[1:], *self._carried]):
            if play is not None:
                self._write_play(play, following)
        if is_away:
            self.timeline.add(Segment(self._cursor_ms, until_ms, "none"))
            self._cursor_ms = max(self._cursor_ms, until_ms)
        is_shortened = self._habits.longest_idle_s is not None
        quiet_ms = self._carried[0].start_ms if self._carried else until_ms
        self.settled_ms = self._cursor_ms if is_shortened else max(self._cursor_ms, quiet_ms)

    def _write_play(self, play: PlannedPlay, following: PlannedPlay | None) -> None:
        begin_ms = self._write_silence(play)
        is_repeated = following is not None and play.is_done and following.track == play.track
        mode = replace(play.mode, repeat="track") if is_repeated else play.mode
        number, self._plays = self._plays, self._plays + 1
        stop_ms = play.track.duration_ms if play.is_done else min(play.stop_ms, max(play.track.duration_ms - _SHORTEST_STOP_MS, 0))
        actions = [] if play.is_offline else self._habits.draw_actions(self._random, stop_ms)
        span = _Span(self.timeline, play, number, mode, begin_ms)
        longest_pause_ms = 0
        for at_ms, action in actions:
            span.run_to(at_ms)
            if action == "pause":
                pause_ms = draw_pause_ms(self._random)
                longest_pause_ms = max(longest_pause_ms, pause_ms)
                self._relist(span, pause_ms)
                span.pause(pause_ms)
            else:
                self._act(span, action, stop_ms)
        span.run_to(stop_ms)
        self._cursor_ms, self._left_at_ms = span.now_ms, 0 if play.is_done else stop_ms
        self._last = replace(play, mode=span.mode)
        self.timeline.endings[number] = play.reason_end if not play.is_done else "trackdone"
        if play.is_done and not span.mode.is_private and play.track.type == "track":
            self._list(play, span, longest_pause_ms)

    def _act(self, span: _Span, action: Action, stop_ms: int) -> None:
        random = self._random
        match action:
            case "forward":
                span.position_ms += round(random.uniform(0.1, 0.7) * max(stop_ms - span.position_ms, 0))
            case "back":
                span.position_ms -= round(random.uniform(0.1, 1.0) * span.position_ms)
            case "device":
                span.mode = replace(span.mode, device=random.choice(_OTHER_DEVICES))
            case _:
                span.mode = replace(span.mode, is_private=not span.mode.is_private)

    def _write_silence(self, play: PlannedPlay) -> int:
        """Fill the time before a play; when it begins (UTC, epoch ms)."""
        wanted_ms, cursor_ms = play.start_ms + self._shift_ms, self._cursor_ms
        idle_s = self._habits.longest_idle_s
        if idle_s is not None and wanted_ms - cursor_ms > idle_s * 1_000:
            self._shift_ms -= wanted_ms - cursor_ms - round(idle_s * 1_000)
            wanted_ms = cursor_ms + round(idle_s * 1_000)
        silence_ms = wanted_ms - cursor_ms
        last = self._last
        if silence_ms <= _JOINED_MS and last is not None:
            return cursor_ms
        if self._habits.is_free and _ADVERT_MS[0] <= silence_ms <= _ADVERT_MS[1]:
            self.timeline.add(Segment(cursor_ms, wanted_ms, "null_item", mode=play.mode))
        elif last is not None and not last.is_offline:
            self._write_pause_after(last, cursor_ms, wanted_ms)
        else:
            self.timeline.add(Segment(cursor_ms, wanted_ms, "none"))
        return max(wanted_ms, cursor_ms)

    def _write_pause_after(self, last: PlannedPlay, from_ms: int, until_ms: int) -> None:
        """The stopped player: the last song for some minutes, then nothing."""
        middle_ms = min(from_ms + _SHOWN_PAUSED_MS, until_ms)
        self.timeline.add(Segment(from_ms, middle_ms, "hold", last.track, self._left_at_ms, mode=last.mode))
        self.timeline.add(Segment(middle_ms, until_ms, "none"))

    def _list(self, play: PlannedPlay, span: _Span, longest_pause_ms: int) -> None:
        """Enter a play that reached its end into recently-played: its stamp is mostly the end, after a pause some time before."""
        early_ms = self._random.uniform(0, _STAMP_SPREAD_MS) + self._random.random() * min(longest_pause_ms, 60_000) * 0.5
        stamp_ms = max(span.now_ms - round(early_ms), span.begin_ms)
        listed_ms = span.now_ms + round(self._random.uniform(0, _LIST_LAG_MS))
        if play.is_offline:
            listed_ms = max(listed_ms, play.delivered_ms + self._shift_ms)
        self.timeline.add_listing(Listing(stamp_ms, listed_ms, play.track, span.number, span.mode.context_uri))

    def _relist(self, span: _Span, pause_ms: int) -> None:
        """The second entry of a song that is resumed after a long pause, with the time of the pause."""
        if pause_ms >= _RELISTED_PAUSE_MS and not span.mode.is_private and span.play.track.type == "track":
            entry = Listing(span.now_ms, span.now_ms, span.play.track, span.number, span.mode.context_uri, is_repeat=True)
            self.timeline.add_listing(entry)


class _Span:
    """A play while it is written: where it is in time and in the track, and how the player is set."""

    def __init__(self, timeline: Timeline, play: PlannedPlay, number: int, mode: PlayerMode, begin_ms: int) -> None:
        self.play, self.number, self.mode = play, number, mode
        self.begin_ms = self.now_ms = begin_ms
        self.position_ms = 0
        self._timeline = timeline

    def run_to(self, position_ms: int) -> None:
        """Play up to a position."""
        if position_ms > self.position_ms:
            self._add("run", position_ms - self.position_ms)
            self.position_ms = position_ms

    def pause(self, length_ms: int) -> None:
        """Pause for a time; a long pause is no longer shown after some minutes."""
        shown_ms = min(length_ms, _SHOWN_PAUSED_MS)
        self._add("hold", shown_ms)
        self._add("none", length_ms - shown_ms)

    def _add(self, motion: Motion, length_ms: int) -> None:
        end_ms = self.now_ms + length_ms
        track = None if motion == "none" else self.play.track
        self._timeline.add(
            Segment(self.now_ms, end_ms, motion, track, self.position_ms, self.number, self.mode, is_offline=self.play.is_offline)
        )
        self.now_ms = end_ms
