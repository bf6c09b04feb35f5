"""When listeners listen: the sessions of each listener's local days, which begin at 04:00."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundlake.generator.model import places
from soundlake.generator.model.listeners import Listeners, is_eastern
from soundlake.generator.model.randomness import Ints, Keys, child_keys, choose, draw, draw_normal, draw_pair

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
_DAY_START_HOURS = 4
_TYPICAL_DELAY_MS, LONGEST_DELAY_MS = 4 * HOUR_MS, 72 * HOUR_MS
_MOST_SESSIONS_PER_DAY = 14
_MOST_PLAYS, _TYPICAL_PLAY_MS = 250, 195_000
_PHASE_DAYS = 23
"""Length of a period in which a listener listens more, or less, than usual."""
_THURSDAY, _SATURDAY = 3, 5  # days since Monday; 1970-01-01 was a Thursday


@dataclass(frozen=True)
class Sessions:
    """Columns of sessions: row of the listener in its cohort, local day, key, start and latest possible end (UTC, epoch ms).

    `is_first_of_day` marks the first session of its local day. No event of a session is sent before `delivered_ms`, the time at which an
    offline device is online again.
    """

    listener: Ints
    day: Ints
    is_first_of_day: NDArray[np.bool_]
    key: Keys
    start_ms: Ints
    latest_ms: Ints
    device: Ints
    is_private: NDArray[np.bool_]
    is_offline: NDArray[np.bool_]
    delivered_ms: Ints


def plan_sessions(listeners: Listeners, from_ms: int, until_ms: int, period_ms: tuple[int, int]) -> Sessions:
    """The sessions that begin in [from_ms, until_ms) (UTC, epoch ms), ordered by listener and time.

    `period_ms` is the simulated period (epoch ms), in which new listeners join and others leave.
    A session ends before the next one of its local day begins, and before the next local day (04:00).
    """
    first_day = from_ms // DAY_MS
    days = -(-until_ms // DAY_MS) - first_day
    row, day = _list_local_days(listeners, first_day, days)
    key = child_keys(listeners.key[row], "day", day)
    count = _count_sessions(listeners, row, day, key)
    of_day = np.repeat(np.arange(len(row)), count)
    number = np.arange(len(of_day)) - np.repeat(np.cumsum(count) - count, count)
    session_key = child_keys(key[of_day], "session", number)
    row, day = row[of_day], day[of_day]
    local_ms = _draw_local_starts(listeners, row, day, session_key, number)
    order = np.lexsort((local_ms, of_day))
    row, day, session_key, local_ms = row[order], day[order], session_key[order], local_ms[order]
    offsets = places.list_utc_offsets(first_day - 1, days + 3) * 1_000
    start_ms = local_ms - _find_offset(offsets, listeners.place[row], local_ms, first_day)
    day_end = (day + 1) * DAY_MS + _DAY_START_HOURS * HOUR_MS
    latest_ms = day_end - _find_offset(offsets, listeners.place[row], day_end, first_day)
    overlaps = draw(session_key, "overlap") < listeners.overlap_share[row]  # a second device, or another person with the same account
    overlaps &= ~np.append(False, overlaps[:-1] & (of_day[1:] == of_day[:-1]))[: len(overlaps)]
    is_followed, latest_ms = _find_latest_ends(of_day, start_ms, latest_ms, overlaps)
    is_first_of_day = ~np.append(False, is_followed)[: len(of_day)]
    device = _choose_devices(listeners, row, session_key, np.append(False, overlaps & is_followed)[: len(of_day)])
    kept = (start_ms >= from_ms) & (start_ms < until_ms)
    kept &= _has_account(listeners, row, start_ms, period_ms)
    row, key = row[kept], session_key[kept]
    is_offline = draw(key, "offline") < listeners.offline_share[row]
    return Sessions(
        listener=row,
        day=day[kept],
        is_first_of_day=is_first_of_day[kept],
        key=key,
        start_ms=start_ms[kept],
        latest_ms=latest_ms[kept],
        device=device[kept],
        is_private=draw(key, "private") < listeners.private_share[row],
        is_offline=is_offline,
        delivered_ms=start_ms[kept] + np.where(is_offline, _draw_delays(key), 0),
    )


def draw_lengths(listeners: Listeners, rows: Ints, keys: Keys) -> Ints:
    """The number of queued plays in the sessions with these listeners and keys."""
    wanted = np.exp(listeners.plays_mu[rows] + listeners.plays_sigma[rows] * draw_normal(keys, "length"))
    return np.asarray(np.ceil(wanted).clip(1, _MOST_PLAYS).astype(np.int64))


def is_listening(listeners: Listeners, rows: Ints, days: Ints) -> NDArray[np.bool_]:
    """Whether the listeners have a session on these local days, apart from joining and leaving."""
    return _count_sessions(listeners, rows, days, child_keys(listeners.key[rows], "day", days)) > 0


def _find_latest_ends(of_day: Ints, start_ms: Ints, latest_ms: Ints, overlaps: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Ints]:
    """Whether another session follows on the same day, and the latest end: the start of the next one, or of the one after an overlap."""
    followed = [np.append(of_day[ahead:] == of_day[: len(of_day) - ahead], np.zeros(min(ahead, len(of_day)), bool)) for ahead in (1, 2)]
    begins = [np.append(start_ms[ahead:], np.zeros(min(ahead, len(of_day)), np.int64)) for ahead in (1, 2)]
    return followed[0], np.select([followed[0] & ~overlaps, followed[1]], begins, latest_ms)


def _choose_devices(listeners: Listeners, row: Ints, key: Keys, is_second: NDArray[np.bool_]) -> Ints:
    """The device of each session; overlapping sessions use different devices."""
    device = choose(listeners.device_cdf[row], draw(key, "device"))
    is_taken = is_second & (device == np.append(-1, device[:-1])) if len(device) else is_second
    return np.where(is_taken, (device + 1) % listeners.device_cdf.shape[1], device)


def _has_account(listeners: Listeners, row: Ints, start_ms: Ints, period_ms: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether the listener has joined and not yet left at the start."""
    when = (start_ms - period_ms[0]) / (period_ms[1] - period_ms[0])
    return np.asarray((when >= listeners.join_share[row]) & (when < listeners.leave_share[row]))


def _draw_delays(key: Keys) -> Ints:
    """Milliseconds from the session's start until an offline device delivers its events: hours, rarely days."""
    delay = np.exp(np.log(_TYPICAL_DELAY_MS) + draw_normal(key, "delay"))
    return np.asarray(np.minimum(delay, LONGEST_DELAY_MS).astype(np.int64))


def _list_local_days(listeners: Listeners, first_day: int, days: int) -> tuple[Ints, Ints]:
    """Every (listener, local day) that can have a session in these UTC days: one local day more than UTC days."""
    row = np.repeat(np.arange(len(listeners.key)), days + 1)
    earliest = first_day - 1 + is_eastern(listeners).astype(np.int64)
    day = (earliest[:, None] + np.arange(days + 1)).ravel()
    return row, day


def _count_sessions(listeners: Listeners, row: Ints, day: Ints, key: Keys) -> Ints:
    """Sessions per local day: Poisson with the listener's rate, varied by weekend, season, period and day."""
    is_weekend = _is_weekend(day)
    season = 1.0 + listeners.season_strength[row] * np.cos(2 * np.pi * (day / 365.25 - listeners.season_phase[row]))
    rate = listeners.sessions_per_day[row] * season * np.where(is_weekend, listeners.weekend_factor[row], 1.0)
    phase = child_keys(listeners.key[row], "phase", day // _PHASE_DAYS)
    rate *= np.exp(listeners.phase_spread[row] * draw_normal(phase, "phase"))
    spread = listeners.mood_spread[row]
    is_active = draw(child_keys(listeners.key[row], "week", (day + _THURSDAY) // 7), "away") >= listeners.away_share[row]
    rate = np.minimum(rate * np.exp(spread * draw_normal(key, "mood") - 0.5 * spread**2) * is_active, _MOST_SESSIONS_PER_DAY / 2)
    share = draw(key, "sessions")
    term = np.exp(-rate)
    cumulated, count = term.copy(), np.zeros(len(row), np.int64)
    for number in range(1, _MOST_SESSIONS_PER_DAY + 1):
        count += share >= cumulated
        term = term * rate / number
        cumulated += term
    return count


def _is_weekend(day: Ints) -> NDArray[np.bool_]:
    return (day + _THURSDAY) % 7 >= _SATURDAY


def _draw_local_starts(listeners: Listeners, row: Ints, day: Ints, key: Keys, number: Ints) -> Ints:
    """The local time at which each session begins, as milliseconds since 1970 without a time zone."""
    is_weekend = _is_weekend(day).astype(np.int64)
    hour = choose(listeners.hour_cdf[row, is_weekend], draw(key, "hour"))
    local_ms = day * DAY_MS + (hour + _DAY_START_HOURS) * HOUR_MS + (draw(key, "minute") * HOUR_MS).astype(np.int64)
    soon, gap = draw_pair(key, "soon")
    follows = (number > 0) & (soon < listeners.soon_share[row])
    over_ms = local_ms + draw_lengths(listeners, row, key) * _TYPICAL_PLAY_MS
    later = np.append(0, over_ms[:-1]) + HOUR_MS // 2 + (gap**2 * listeners.soon_hours[row] * HOUR_MS).astype(np.int64)
    return np.where(follows & (later < (day + 1) * DAY_MS + (_DAY_START_HOURS - 1) * HOUR_MS), later, local_ms).astype(np.int64)


def _find_offset(offsets: Ints, place: Ints, local_ms: Ints, first_day: int) -> Ints:
    hour = local_ms // HOUR_MS - (first_day - 1) * 24
    return offsets[place, np.clip(hour, 0, offsets.shape[1] - 1)]
