"""Time lines written by hand, in the form of a listening case: its `states`, `tracks` and `recent`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from soundlake.contract.record import GENERATED_ID_PREFIX
from soundlake.spotify.fake.catalogue import FakeTrack
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.fake.timeline import DEFAULT_MODE, HEARD, Listing, Motion, PlayerMode, Segment, Timeline
from soundlake.spotify.fake.web_api import PLAYER_PATHS

_MOTIONS: tuple[Motion, ...] = ("run", "hold", "stuck", "none", "null_item", "gap")
_NEAR_END_MS = 3_000
"""A track that got this close to its end was played to it: crossfade and the end of a poll differ by no more."""


def write_timeline(
    account: str,
    t0_ms: int,
    tracks: Mapping[str, int | FakeTrack],
    states: Iterable[Mapping[str, Any]],
    *,
    recent: Iterable[Sequence[Any]] | None = None,
    mode: PlayerMode = DEFAULT_MODE,
) -> Timeline:
    """A time line that begins at `t0_ms` (UTC, epoch ms); seconds of `states` and `recent` count from there.

    `tracks` are durations in ms, or tracks. Without `recent`, the list of recently played tracks has each track that reached its end.
    A `raw` state is one odd answer, not a stretch of time: it is left out here. Raises ValueError for a state of an unknown kind.
    """
    made = {name: track if isinstance(track, FakeTrack) else make_track(name, track) for name, track in tracks.items()}
    timeline = Timeline(account)
    for segment in _number_plays(_read_state(state, t0_ms, made, mode) for state in states if "raw" not in state):
        timeline.add(segment)
    _end_plays(timeline, is_listed=recent is None)
    for name, stamp in recent or ():
        moment = t0_ms + round(stamp * 1_000)
        timeline.add_listing(Listing(moment, moment, made[name]))
    return timeline


def make_track(name: str, duration_ms: int) -> FakeTrack:
    """A made-up track of one artist and album of its own."""
    return FakeTrack(
        id=f"{GENERATED_ID_PREFIX}track_{name}",
        name=f"Song {name}",
        duration_ms=duration_ms,
        artist_id=f"{GENERATED_ID_PREFIX}artist_{name}",
        artist_name=f"Artist {name}",
        album_id=f"{GENERATED_ID_PREFIX}album_{name}",
        album_name=f"Album {name}",
    )


def _read_state(state: Mapping[str, Any], t0_ms: int, tracks: Mapping[str, FakeTrack], mode: PlayerMode) -> Segment:
    motion = next((one for one in _MOTIONS if one in state), None)
    if motion is None:
        raise ValueError(f"a state of an unknown kind: {', '.join(state)}")
    begin, end, *rest = state[motion]
    changes = dict(state.get("with", {}))
    if (is_private := changes.get("is_private_session")) is not None:
        mode = replace(mode, is_private=bool(is_private))
    track = tracks[rest[0]] if motion in ("run", "hold", "stuck") else None
    if track is not None and changes.get("type") == "episode":
        track = replace(track, type=changes.pop("type"))
    return Segment(
        start_ms=t0_ms + round(begin * 1_000),
        end_ms=t0_ms + round(end * 1_000),
        motion=motion,
        track=track,
        progress_ms=0 if track is None else int(rest[1]),
        mode=mode,
        null_type=rest[0] if motion == "null_item" else "ad",
        speed=float(changes.pop("speed", 1.0)),
        changes=changes,
    )


def _number_plays(segments: Iterable[Segment]) -> Iterable[Segment]:
    """The same segments, those of one play with one number: a play begins with another track, or from 0 after the end was reached."""
    play, last = -1, None
    for segment in segments:
        if segment.track is None:
            yield segment
            continue
        if last is None or segment.track != last.track or (segment.progress_ms == 0 and _reaches_end(last)):
            play += 1
        last = replace(segment, play=play)
        yield last


def _reaches_end(segment: Segment) -> bool:
    return segment.track is not None and segment.find_progress(segment.end_ms) >= segment.track.duration_ms - _NEAR_END_MS


def _end_plays(timeline: Timeline, *, is_listed: bool) -> None:
    """Note how each play ended, and list those that reached their end outside a private session."""
    last_of_play = {segment.play: segment for segment in timeline.segments if segment.play is not None and segment.motion in HEARD}
    for play, segment in last_of_play.items():
        if play is None or segment.track is None:
            continue
        is_done = _reaches_end(segment)
        timeline.endings[play] = "trackdone" if is_done else "endplay"
        if is_done and is_listed and segment.track.type == "track" and not segment.mode.is_private:
            timeline.add_listing(Listing(segment.end_ms, segment.end_ms, segment.track, play))


def list_raw_answers(account: str, t0_ms: int, states: Iterable[Mapping[str, Any]]) -> Iterator[Fault]:
    """A fault for each `raw` state: it replaces or changes the first answer of the player at its time.

    The time is its `t` (or `at`; seconds after `t0_ms`), without one the end of the state before. With `status` or `body` it is an answer
    of its own, as of the fault `respond`; other members are fields written over the usual answer.
    """
    end_s = 0.0
    for state in states:
        if "raw" not in state:
            end_s = next(float(state[motion][1]) for motion in _MOTIONS if motion in state)
            continue
        raw = {**state["raw"], **state.get("with", {})}
        moment_s = float(raw.pop("t", raw.pop("at", end_s)))
        is_answer = bool({"status", "body", "failure"} & raw.keys())
        yield Fault(
            "respond" if is_answer else "changes",
            accounts=frozenset({account}),
            paths=PLAYER_PATHS,
            count=1,
            from_ms=t0_ms + round(moment_s * 1_000),
            details=raw if is_answer else {"with": raw},
        )
