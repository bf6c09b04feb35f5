"""How they hear it: skips and their moments, ends and pauses, and with them the clock of every play."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundlake.generator.catalogue import Catalogue, Floats, Ints
from soundlake.generator.choices import RADIO, REPEAT, Queue
from soundlake.generator.library import measure_affinity
from soundlake.generator.listeners import Listeners
from soundlake.generator.randomness import draw, draw_normal, draw_pair
from soundlake.generator.sittings import Sittings

START_REASONS = ("clickrow", "trackdone", "fwdbtn", "backbtn", "appload", "playbtn", "remote")
END_REASONS = ("trackdone", "fwdbtn", "backbtn", "endplay", "logout", "unexpected-exit-while-paused", "remote", "unknown")
_END_TRACKDONE, _END_FORWARD, _END_BACK, _END_ENDPLAY, _END_LOGOUT, _END_UNEXPECTED, _END_REMOTE, _END_UNKNOWN = range(len(END_REASONS))
_START_AFTER = np.array([1, 2, 3, 0, 4, 4, 6, 1])
"""The start that follows each end."""


_AT_ONCE, _SOON = 0.5, 0.38
"""Shares of the skips: within two seconds (at most, by haste), and within half a minute; the others come later."""
_BARELY_SHARE = 0.35
"""Of the plays that are stopped, those that had only just begun by themselves."""
_LONGEST_PAUSE_MS = 28 * 60_000
_ADVERT_SHARE = 0.22


@dataclass(frozen=True)
class Hearing:
    """Columns beside a queue, cut to what was heard: `kept` are the rows of the queue."""

    kept: Ints
    start_ms: Ints
    played_ms: Ints
    end_ms: Ints
    is_skipped: NDArray[np.bool_]
    reason_start: Ints
    reason_end: Ints


def hear(catalogue: Catalogue, listeners: Listeners, sittings: Sittings, queue: Queue) -> Hearing:
    """Play the queue: what is heard of each track, when it begins and why it ends."""
    duration = catalogue.track_duration_ms[queue.track]
    is_last = np.append(queue.position[1:] == 0, True) if len(queue.position) else np.zeros(0, bool)
    ends_run = np.append(queue.starts_run[1:], True) & ~is_last if len(is_last) else is_last
    is_skipped = draw(queue.key, "skip") < _reckon_skips(catalogue, listeners, sittings, queue)
    played_ms, reason_end = _end_plays(listeners, queue, duration, is_skipped, is_last, ends_run)
    pause_ms = _draw_pauses(listeners, queue)
    start_ms, end_ms = _run_clock(sittings, queue, played_ms, pause_ms)
    kept = np.flatnonzero((start_ms < sittings.latest_ms[queue.sitting] - 1_000) | (queue.position == 0))
    start_ms, played_ms, end_ms, reason_end = start_ms[kept], played_ms[kept], end_ms[kept], reason_end[kept]
    over = np.maximum(end_ms - np.maximum(sittings.latest_ms[queue.sitting[kept]], start_ms + 1_000), 0)
    played_ms, end_ms = np.maximum(played_ms - over, 0), end_ms - over
    reason_end = np.where((over > 0) & (reason_end == _END_TRACKDONE), _END_ENDPLAY, reason_end)
    is_skipped = np.isin(reason_end, (_END_FORWARD, _END_BACK)) | (is_skipped[kept] & (reason_end == _END_ENDPLAY))
    return Hearing(kept, start_ms, played_ms, end_ms, is_skipped, _begin_plays(queue, kept, reason_end), reason_end)


def _reckon_skips(catalogue: Catalogue, listeners: Listeners, sittings: Sittings, queue: Queue) -> Floats:
    """The chance of a skip: habit, mood of the sitting, taste, how well the track is known, how far into the sitting."""
    affinity = measure_affinity(catalogue, listeners, queue.listener, catalogue.track_artist[queue.track])
    mood = draw_normal(sittings.key, "skip mood")[queue.sitting]
    known = queue.familiarity
    leaning = (
        listeners.skip_bias[queue.listener] + 0.9 * mood + 0.9 * (0.75 - affinity) - 0.8 * known
        + 0.5 * (queue.position < 2) + 0.4 * queue.is_shuffle + 0.5 * (queue.context == RADIO) - 1.5 * (queue.context == REPEAT)
    )  # fmt: skip
    return 1.0 / (1.0 + np.exp(-leaning))


def _end_plays(
    listeners: Listeners,
    queue: Queue,
    duration: Ints,
    is_skipped: NDArray[np.bool_],
    is_last: NDArray[np.bool_],
    ends_run: NDArray[np.bool_],
) -> tuple[Ints, Ints]:
    """Milliseconds heard, and why each play ended."""
    part, why = draw_pair(queue.key, "end")
    at_once = _AT_ONCE * listeners.haste[queue.listener]
    moment = np.select(
        [part < at_once, part < at_once + _SOON],
        [1_800 * (part / at_once) ** 2, 1_800 + 28_000 * ((part - at_once).clip(0) / _SOON) ** 1.5],
        30_000 + (duration - 31_000) * (part - at_once - _SOON) / (1 - at_once - _SOON),
    )
    stops = (is_last & (why < 0.85)) | (ends_run & (why < 0.75))
    reason = np.where(is_skipped, np.where(why < 0.93, _END_FORWARD, _END_BACK), _END_TRACKDONE)
    how, odd = draw_pair(queue.key, "how it ends")
    leaves = np.select(
        [how < listeners.logout_share[queue.listener], how > 0.97, how > 0.94], [_END_LOGOUT, _END_UNEXPECTED, _END_REMOTE], _END_ENDPLAY
    )
    reason = np.where(stops & ~is_skipped, np.where(is_last, leaves, _END_ENDPLAY), np.where(ends_run & is_skipped, _END_ENDPLAY, reason))
    reason = np.where(~is_skipped & (odd < listeners.unknown_share[queue.listener]), _END_UNKNOWN, reason)
    far, barely = draw_pair(queue.key, "stopped at")
    stopped_at = np.where(barely < _BARELY_SHARE, 900 * far, far * duration)
    heard = np.where(is_skipped, np.minimum(moment, duration - 500), np.where(stops, stopped_at, duration))
    return heard.astype(np.int64), reason


def _draw_pauses(listeners: Listeners, queue: Queue) -> Ints:
    """Time that passes without sound: nothing mostly, now and then minutes."""
    share = draw(queue.key, "pause")
    rows = queue.listener
    length = np.exp(listeners.pause_mu[rows] + listeners.pause_sigma[rows] * draw_normal(queue.key, "pause length")) * 1_000
    pause = np.where(share < listeners.pause_share[rows], np.minimum(length, _LONGEST_PAUSE_MS), 0.0)
    change, advert = draw_pair(queue.key, "change")
    pause += np.where(listeners.is_free[rows] & (advert < _ADVERT_SHARE), 15_000 + 45_000 * change, 0.0)
    return (pause + 40 + 1_600 * change**3 - np.where(advert > 0.93, 2_500 * change, 0.0) - listeners.crossfade_ms[rows]).astype(np.int64)


def _run_clock(sittings: Sittings, queue: Queue, played_ms: Ints, pause_ms: Ints) -> tuple[Ints, Ints]:
    """Start and end of each play (UTC, epoch ms): one after another from the sitting's start."""
    taken = np.cumsum(played_ms + pause_ms)
    first = np.flatnonzero(queue.position == 0)
    before = (taken - played_ms - pause_ms)[first]
    offset = sittings.start_ms - before if len(first) else sittings.start_ms
    start = taken - played_ms - pause_ms + offset[queue.sitting]
    return start, start + played_ms


def _begin_plays(queue: Queue, kept: Ints, reason_end: Ints) -> Ints:
    """Why each play began: after another one as that one ended, else by a click."""
    follows = np.roll(_START_AFTER[reason_end], 1) if len(kept) else reason_end
    share = draw(queue.key[kept], "begin")
    opening = np.select([share < 0.5, share < 0.75, share < 0.95], [0, 4, 5], 6)
    chosen = np.where(queue.starts_run[kept], 0, follows)
    return np.where(queue.position[kept] == 0, opening, chosen)
