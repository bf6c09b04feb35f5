"""Playback: skips and their times, ends and pauses, and from these the start and end of every play."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundlake.generator.model.library import compute_affinity, find_positions, measure_drift
from soundlake.generator.model.listeners import Cohort, Listeners
from soundlake.generator.model.playlists import REMOVE
from soundlake.generator.model.randomness import Floats, Ints, Keys, draw, draw_normal, draw_pair
from soundlake.generator.model.sessions import Sessions
from soundlake.generator.model.track_selection import RADIO, REPEAT, PlayQueue

START_REASONS = ("clickrow", "trackdone", "fwdbtn", "backbtn", "appload", "playbtn", "remote")
END_REASONS = ("trackdone", "fwdbtn", "backbtn", "endplay", "logout", "unexpected-exit-while-paused", "remote", "unknown")
_END_TRACKDONE, _END_FORWARD, _END_BACK, _END_ENDPLAY, _END_LOGOUT, _END_UNEXPECTED, _END_REMOTE, _END_UNKNOWN = range(len(END_REASONS))
_START_AFTER = np.array([1, 2, 3, 0, 4, 4, 6, 1])
"""The start reason after each end reason."""
_OPENINGS, _OPENING_CDF = np.array([0, 4, 5, 6]), np.array([0.5, 0.75, 0.95])
"""The start reasons of the first play of a session, and their cumulative shares."""
_SKIP_BIT = 64

_AT_ONCE, _SOON = 0.5, 0.38
"""Shares of the skips within two seconds (an upper bound, scaled by haste) and within half a minute; the others come later."""
_BURST_PLAYS = 4
"""Consecutive plays with a shared mood: skips come in bursts."""
_ABANDONED_SHARE = 0.3
"""Share of the pauses in which the track is abandoned."""
_TYPICAL_PLAYS, _MANY_PLAYS = 9, 16
_LONGEST_PAUSE_MS = 28 * 60_000
_CHANGE_MS = 40
_ADVERT_SHARE, _OVERLAP_SHARE = 0.22, 0.07
"""Shares of the track changes with an advertisement between them (free plan), and of those that start before the previous track's end."""
_FORWARD_SHARE, _UNEXPECTED_SHARE, _REMOTE_SHARE = 0.93, 0.03, 0.03
_STOPPED_BY_TURN_SHARE = 0.75
_FIRST_PLAYS = 2
_SHORTEST_CUT_MS, _SHORTEST_REST_MS, _SHORTEST_STEP_MS = 1_000, 500, 40


@dataclass(frozen=True)
class Playback:
    """Columns of the plays that were started: `kept` are their rows in the queue."""

    kept: Ints
    start_ms: Ints
    played_ms: Ints
    end_ms: Ints
    is_skipped: NDArray[np.bool_]
    reason_start: Ints
    reason_end: Ints


@dataclass(frozen=True)
class _Boundaries:
    """Plays at the end of their session, and plays at the end of a run within it."""

    ends_session: NDArray[np.bool_]
    ends_run: NDArray[np.bool_]


@dataclass(frozen=True)
class _StopDecisions:
    """Which plays are skipped, how early a skip of each would be (1 is typical), and which are abandoned for a pause."""

    is_skipped: NDArray[np.bool_]
    impatience: Floats
    is_abandoned: NDArray[np.bool_]


def simulate_playback(cohort: Cohort, sessions: Sessions, queue: PlayQueue) -> Playback:
    """Play the queue: how long each track plays, when it starts and why it ends."""
    ends_session = np.append(queue.position[1:] == 0, np.ones(min(1, len(queue.position)), bool))
    boundaries = _Boundaries(ends_session, np.append(queue.starts_run[1:], ends_session[-1:]) & ~ends_session)
    skip_logit, impatience = _compute_skip_chances(cohort, sessions, queue)
    is_skipped = draw(queue.key, "skip") < skip_logit
    is_skipped[queue.changes.at] = queue.changes.kind == REMOVE  # a track that is added is not skipped, one that is removed is
    pause_ms, is_abandoned = _draw_pauses(cohort.listeners, sessions, queue)
    played_ms, reason_end = _end_plays(cohort, queue, boundaries, _StopDecisions(is_skipped, impatience, is_abandoned & ~is_skipped))
    start_ms = _compute_start_times(sessions, queue, np.maximum(played_ms + pause_ms, _SHORTEST_STEP_MS))
    return _cut_at_session_end(sessions, queue, start_ms, played_ms, np.where(is_skipped, reason_end | _SKIP_BIT, reason_end))


def _cut_at_session_end(sessions: Sessions, queue: PlayQueue, start_ms: Ints, played_ms: Ints, ending: Ints) -> Playback:
    """The plays before the latest end of their session; `ending` is the end reason, with `_SKIP_BIT` set for a skip."""
    latest_ms = sessions.latest_ms[queue.session]
    kept = np.flatnonzero((start_ms < latest_ms - _SHORTEST_CUT_MS) | (queue.position == 0))
    start_ms, played_ms, ending, latest_ms = start_ms[kept], played_ms[kept], ending[kept], latest_ms[kept]
    over_ms = np.maximum(start_ms + played_ms - np.maximum(latest_ms, start_ms + _SHORTEST_CUT_MS), 0)
    played_ms = np.maximum(played_ms - over_ms, 0)
    reason_end = np.where((over_ms > 0) & (ending == _END_TRACKDONE), _END_ENDPLAY, ending & ~_SKIP_BIT)
    begin = _choose_start_reasons(queue, kept, reason_end)
    return Playback(kept, start_ms, played_ms, start_ms + played_ms, ending & _SKIP_BIT > 0, begin, reason_end)


def _compute_skip_chances(cohort: Cohort, sessions: Sessions, queue: PlayQueue) -> tuple[Floats, Floats]:
    """The probability of a skip, and how early it would be: from habit, mood, taste, familiarity and position in the session."""
    listeners, who = cohort.listeners, sessions.listener
    position = find_positions(cohort, who, measure_drift(listeners, who, sessions.day))
    strangeness = 0.75 - compute_affinity(cohort, position.take(queue.session, axis=0), cohort.catalogue.track_artist[queue.track])
    session_logit = listeners.skip_bias[who] + listeners.skip_mood[who] * draw_normal(sessions.key, "skip mood")
    burst = _draw_bursts(listeners, queue)
    skip_logit = (
        session_logit[queue.session] + burst + 0.9 * strangeness - 0.8 * queue.familiarity
        + 0.5 * (queue.position < _FIRST_PLAYS) + 0.4 * queue.is_shuffle + 0.5 * (queue.context == RADIO) - 1.5 * (queue.context == REPEAT)
    )  # fmt: skip
    impatience = 0.6 + 0.6 * queue.familiarity + 0.4 * strangeness + 0.2 * (queue.position < _FIRST_PLAYS) + 0.3 * burst.clip(-2, 4)
    return np.asarray(1.0 / (1.0 + np.exp(-skip_logit))), impatience


def _draw_bursts(listeners: Listeners, queue: PlayQueue) -> Floats:
    """The mood of a few consecutive plays."""
    begins = queue.position % _BURST_PLAYS == 0
    first = np.flatnonzero(begins)
    mood = listeners.skip_burst[queue.listener[first]] * draw_normal(queue.key[first], "burst")
    return np.asarray(mood[np.cumsum(begins) - 1])


def _end_plays(cohort: Cohort, queue: PlayQueue, boundaries: _Boundaries, stopped: _StopDecisions) -> tuple[Ints, Ints]:
    """Milliseconds played, and the end reason: the end of the track unless skipped or stopped."""
    listeners, is_skipped = cohort.listeners, stopped.is_skipped
    played_ms = cohort.catalogue.track_duration_ms.take(queue.track)
    part, why = draw_pair(queue.key, "end")
    skip = np.flatnonzero(is_skipped)
    stops = boundaries.ends_session & (why < listeners.stop_share.take(queue.listener))
    stop = np.flatnonzero((stops | (boundaries.ends_run & (why < _STOPPED_BY_TURN_SHARE)) | stopped.is_abandoned) & ~is_skipped)
    reason = np.where(draw(queue.key, "unknown") < listeners.unknown_share.take(queue.listener), _END_UNKNOWN, _END_TRACKDONE)
    reason[skip] = np.where(boundaries.ends_run[skip], _END_ENDPLAY, np.where(why[skip] < _FORWARD_SHARE, _END_FORWARD, _END_BACK))
    is_left = (boundaries.ends_session | stopped.is_abandoned)[stop]
    reason[stop] = np.where(is_left, _choose_stop_reasons(listeners, queue.key[stop], queue.listener[stop]), _END_ENDPLAY)
    far, barely = draw_pair(queue.key[stop], "stopped at")
    played_ms[stop] = np.where(barely < listeners.barely_share[queue.listener[stop]], 900 * far, far * played_ms[stop])
    skip_haste = listeners.skip_haste[queue.listener[skip]]
    played_ms[skip] = _choose_skip_moments(skip_haste, stopped.impatience[skip], part[skip], played_ms[skip])
    return played_ms, reason


def _choose_skip_moments(skip_haste: Floats, impatience: Floats, part: Floats, duration_ms: Ints) -> Floats:
    """The time of each skip (ms into the track): within two seconds, within half a minute, or later."""
    at_once = (_AT_ONCE * skip_haste * impatience).clip(0.001, 0.6)
    soon = (_SOON * impatience.clip(0.4, 2.5)).clip(0, 0.97 - at_once)
    moment = np.select(
        [part < at_once, part < at_once + soon],
        [1_800 * (part / at_once) ** 2, 1_800 + 28_000 * ((part - at_once).clip(0) / soon) ** 1.5],
        30_000 + (duration_ms - 31_000) * (part - at_once - soon) / (1 - at_once - soon),
    )
    return np.asarray(np.minimum(moment, duration_ms - _SHORTEST_REST_MS))


def _choose_stop_reasons(listeners: Listeners, keys: Keys, rows: Ints) -> Ints:
    """The end reason of a session that ends in the middle of a track."""
    how = draw(keys, "leaving")
    is_odd, is_remote = how > 1 - _UNEXPECTED_SHARE, how > 1 - _UNEXPECTED_SHARE - _REMOTE_SHARE
    ways = [how < listeners.logout_share[rows], is_odd, is_remote]
    return np.select(ways, [_END_LOGOUT, _END_UNEXPECTED, _END_REMOTE], _END_ENDPLAY)


def _draw_pauses(listeners: Listeners, sessions: Sessions, queue: PlayQueue) -> tuple[Ints, NDArray[np.bool_]]:
    """Milliseconds of silence after each play, mostly few, sometimes minutes; and which plays are abandoned for a pause."""
    share, how = draw_pair(queue.key, "pause")
    rows = queue.listener
    plays = np.bincount(queue.session, minlength=len(sessions.key))
    is_paused = share < _compute_pause_chances(listeners, sessions, plays)[queue.session]
    at = np.flatnonzero(is_paused)
    length = np.exp(listeners.pause_mu[rows[at]] + listeners.pause_sigma[rows[at]] * draw_normal(queue.key[at], "pause length")) * 1_000
    pause = np.zeros(len(rows))
    pause[at] = np.minimum(length, _LONGEST_PAUSE_MS)
    change, advert = draw_pair(queue.key, "change")
    pause += np.where(listeners.is_free[rows] & (advert < _ADVERT_SHARE), 15_000 + 45_000 * change, 0.0)
    pause += _CHANGE_MS - listeners.change_ms[rows] * np.log(1.0 - change) - listeners.crossfade_ms[rows]
    pause -= np.where(advert > 1 - _OVERLAP_SHARE, 2_500 * change, 0.0)
    return pause.astype(np.int64), is_paused & (how < _ABANDONED_SHARE)


def _compute_pause_chances(listeners: Listeners, sessions: Sessions, plays: Ints) -> Floats:
    """The probability of a pause after each play of a session, by mood; it is higher in short sessions."""
    who = sessions.listener
    odds = listeners.pause_share[who] / (1.0 - listeners.pause_share[who])
    short_session_factor = listeners.short_session_factor[who] * np.log(_TYPICAL_PLAYS / np.minimum(plays, _MANY_PLAYS))
    odds = odds * np.exp(listeners.pause_mood[who] * draw_normal(sessions.key, "pause mood") + short_session_factor)
    return np.asarray(odds / (1.0 + odds))


def _compute_start_times(sessions: Sessions, queue: PlayQueue, taken_ms: Ints) -> Ints:
    """The start of each play (UTC, epoch ms): one after another from the session's start."""
    before = np.cumsum(taken_ms) - taken_ms
    return np.asarray(before + (sessions.start_ms - before[queue.position == 0])[queue.session])


def _choose_start_reasons(queue: PlayQueue, kept: Ints, reason_end: Ints) -> Ints:
    """The start reason of each play: it follows from the previous end reason, or is a click at the start of a run."""
    begin = np.roll(_START_AFTER[reason_end], 1) if len(kept) else reason_end
    begin[queue.starts_run[kept]] = 0
    first = np.flatnonzero(queue.position[kept] == 0)
    begin[first] = _OPENINGS[np.searchsorted(_OPENING_CDF, draw(queue.key[kept[first]], "begin"), side="right")]
    return begin
