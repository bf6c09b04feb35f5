"""When they listen: the sittings of each listener's local days, which begin at 4 o'clock in the morning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundlake.generator.model import places
from soundlake.generator.model.listeners import Listeners, is_eastern
from soundlake.generator.model.randomness import Ints, Keys, child_keys, choose, draw, draw_normal, draw_pair

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
_DAWN_HOURS = 4
_TYPICAL_DELAY_MS, LONGEST_DELAY_MS = 4 * HOUR_MS, 72 * HOUR_MS
_MOST_SESSIONS_PER_DAY = 14
_MOST_PLAYS, _TYPICAL_PLAY_MS = 250, 195_000
_PHASE_DAYS = 23
"""How long a listener hears more, or less, than usual before that changes."""
_THURSDAY, _SATURDAY = 3, 5  # days since Monday; 1970-01-01 was a Thursday


@dataclass(frozen=True)
class Sessions:
    """Columns of sittings: row of the listener in its block, local day, key, first and last moment possible (UTC, epoch ms).

    `opens_day` is true of the first sitting of its local day.

    Nothing of a sitting is sent before `delivered_ms`, the moment at which a device that was offline is back.
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
    """The sittings that begin from `from_ms` on and before `until_ms` (UTC, epoch ms), ordered by listener and time.

    `era` is the time that the world is told for (epoch ms): in it newcomers join and leavers leave.
    A sitting ends before the next one of its local day begins, and before the next dawn.
    """
    first_day = from_ms // DAY_MS
    days = -(-until_ms // DAY_MS) - first_day
    row, day = _list_local_days(listeners, first_day, days)
    key = child_keys(listeners.key[row], "day", day)
    count = _count_sessions(listeners, row, day, key)
    of_day = np.repeat(np.arange(len(row)), count)
    number = np.arange(len(of_day)) - np.repeat(np.cumsum(count) - count, count)
    session_key = child_keys(key[of_day], "sitting", number)
    row, day = row[of_day], day[of_day]
    wall_ms = _draw_wall_clock(listeners, row, day, session_key, number)
    order = np.lexsort((wall_ms, of_day))
    row, day, session_key, wall_ms = row[order], day[order], session_key[order], wall_ms[order]
    offsets = places.list_utc_offsets(first_day - 1, days + 3) * 1_000
    start_ms = wall_ms - _find_offset(offsets, listeners.place[row], wall_ms, first_day)
    dawn = (day + 1) * DAY_MS + _DAWN_HOURS * HOUR_MS
    latest_ms = dawn - _find_offset(offsets, listeners.place[row], dawn, first_day)
    overlaps = draw(session_key, "overlap") < listeners.overlap_share[row]  # a second device, or another person on the account
    overlaps &= ~np.append(False, overlaps[:-1] & (of_day[1:] == of_day[:-1]))[: len(overlaps)]
    is_followed, latest_ms = _end_before(of_day, start_ms, latest_ms, overlaps)
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
    """How many plays are wanted in the sittings of those listeners and keys."""
    wanted = np.exp(listeners.plays_mu[rows] + listeners.plays_sigma[rows] * draw_normal(keys, "length"))
    return np.asarray(np.ceil(wanted).clip(1, _MOST_PLAYS).astype(np.int64))


def is_listening(listeners: Listeners, rows: Ints, days: Ints) -> NDArray[np.bool_]:
    """Whether the listeners have a sitting on those local days, as long as they are there at all."""
    return _count_sessions(listeners, rows, days, child_keys(listeners.key[rows], "day", days)) > 0


def _end_before(of_day: Ints, start_ms: Ints, latest_ms: Ints, overlaps: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Ints]:
    """Whether another sitting follows on the same day, and when each has to end: before the next one, or before the one after that."""
    followed = [np.append(of_day[ahead:] == of_day[: len(of_day) - ahead], np.zeros(min(ahead, len(of_day)), bool)) for ahead in (1, 2)]
    begins = [np.append(start_ms[ahead:], np.zeros(min(ahead, len(of_day)), np.int64)) for ahead in (1, 2)]
    return followed[0], np.select([followed[0] & ~overlaps, followed[1]], begins, latest_ms)


def _choose_devices(listeners: Listeners, row: Ints, key: Keys, is_second: NDArray[np.bool_]) -> Ints:
    """The device of each sitting; while another one plays, never the same."""
    device = choose(listeners.device_cdf[row], draw(key, "device"))
    is_taken = is_second & (device == np.append(-1, device[:-1])) if len(device) else is_second
    return np.where(is_taken, (device + 1) % listeners.device_cdf.shape[1], device)


def _has_account(listeners: Listeners, row: Ints, start_ms: Ints, period_ms: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether the listener has joined by then and not left."""
    when = (start_ms - period_ms[0]) / (period_ms[1] - period_ms[0])
    return np.asarray((when >= listeners.join_share[row]) & (when < listeners.leave_share[row]))


def _draw_delays(key: Keys) -> Ints:
    """How long it takes until a device that was offline delivers, after the sitting's start: hours, seldom days."""
    delay = np.exp(np.log(_TYPICAL_DELAY_MS) + draw_normal(key, "delay"))
    return np.asarray(np.minimum(delay, LONGEST_DELAY_MS).astype(np.int64))


def _list_local_days(listeners: Listeners, first_day: int, days: int) -> tuple[Ints, Ints]:
    """Every (listener, local day) that may have a sitting in those UTC days: one more than there are days."""
    row = np.repeat(np.arange(len(listeners.key)), days + 1)
    earliest = first_day - 1 + is_eastern(listeners).astype(np.int64)
    day = (earliest[:, None] + np.arange(days + 1)).ravel()
    return row, day


def _count_sessions(listeners: Listeners, row: Ints, day: Ints, key: Keys) -> Ints:
    """Poisson around the listener's rate, with the weekend, the season and better and worse days."""
    is_weekend = _is_weekend(day)
    season = 1.0 + listeners.season_strength[row] * np.cos(2 * np.pi * (day / 365.25 - listeners.season_phase[row]))
    rate = listeners.sessions_per_day[row] * season * np.where(is_weekend, listeners.weekend_factor[row], 1.0)
    phase = child_keys(listeners.key[row], "phase", day // _PHASE_DAYS)
    rate *= np.exp(listeners.phase_spread[row] * draw_normal(phase, "phase"))
    spread = listeners.mood_spread[row]
    is_there = draw(child_keys(listeners.key[row], "week", (day + _THURSDAY) // 7), "away") >= listeners.away_share[row]
    rate = np.minimum(rate * np.exp(spread * draw_normal(key, "mood") - 0.5 * spread**2) * is_there, _MOST_SESSIONS_PER_DAY / 2)
    share = draw(key, "sittings")
    term = np.exp(-rate)
    reach, count = term.copy(), np.zeros(len(row), np.int64)
    for number in range(1, _MOST_SESSIONS_PER_DAY + 1):
        count += share >= reach
        term = term * rate / number
        reach += term
    return count


def _is_weekend(day: Ints) -> NDArray[np.bool_]:
    return (day + _THURSDAY) % 7 >= _SATURDAY


def _draw_wall_clock(listeners: Listeners, row: Ints, day: Ints, key: Keys, number: Ints) -> Ints:
    """The wall clock (ms since 1970 as if there were no zones) at which each sitting begins."""
    is_weekend = _is_weekend(day).astype(np.int64)
    hour = choose(listeners.hour_cdf[row, is_weekend], draw(key, "hour"))
    wall_ms = day * DAY_MS + (hour + _DAWN_HOURS) * HOUR_MS + (draw(key, "minute") * HOUR_MS).astype(np.int64)
    soon, gap = draw_pair(key, "soon")
    follows = (number > 0) & (soon < listeners.soon_share[row])
    over_ms = wall_ms + draw_lengths(listeners, row, key) * _TYPICAL_PLAY_MS
    later = np.append(0, over_ms[:-1]) + HOUR_MS // 2 + (gap**2 * listeners.soon_hours[row] * HOUR_MS).astype(np.int64)
    return np.where(follows & (later < (day + 1) * DAY_MS + (_DAWN_HOURS - 1) * HOUR_MS), later, wall_ms).astype(np.int64)


def _find_offset(offsets: Ints, place: Ints, wall_ms: Ints, first_day: int) -> Ints:
    hour = wall_ms // HOUR_MS - (first_day - 1) * 24
    return offsets[place, np.clip(hour, 0, offsets.shape[1] - 1)]
