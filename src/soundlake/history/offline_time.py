"""When a row of the extended form was heard: from its end, or from the start that the device noted (`offline_timestamp`).

`ts` is the moment at which the service learned of the end. After a crash, a pause before the app was closed, or a flight, that is hours or
days late. `offline_timestamp` is the start by the device's clock: milliseconds until 2022, seconds since, 0, 1 or null where it is unknown.
The rule and its evidence: docs/decisions/0020-when-an-export-row-was-heard.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from soundlake.history.play_columns import Times, compute_starts, find_time_bases

_CLOCKS_AGREE = np.timedelta64(5, "s")
_LONGEST_OFFLINE = np.timedelta64(30, "D")  # Spotify's limit for playing without a connection
_MOST_ROWS_OF_A_START = 2
_UNITS_PER_SECOND = ((1e8, 1e11, 1), (1e11, 1e14, 1_000), (1e14, 1e17, 1_000_000))
"""From, below, units a second: what a number is by its size (1973 to 5138 in each unit)."""


def find_starts(ends: Times, ms_played: npt.NDArray[np.int64], noted: Times, is_late: npt.NDArray[np.bool_]) -> tuple[Times, list[str]]:
    """The start of each play of one file, and its played_at_basis. `noted`: what read_device_times makes of its rows.

    The device's start is used (`measured`) if the play, begun then, ends before `ts`, at most 30 days before, and not more than two rows of
    the file name that start. Otherwise the start is `ts` - `ms_played`: `derived_from_end`, or `reported` for the rows in `is_late`
    (offline, unexpected exit) unless both clocks agree to 5 s.
    """
    derived = compute_starts(ends, ms_played)
    gap = derived - noted  # NaT, and each comparison false, where no start is noted
    bases = np.array(find_time_bases(ends, derived, ms_played), dtype=object)
    is_trusted = (gap > _CLOCKS_AGREE) & (gap <= _LONGEST_OFFLINE) & ~_find_crowded(noted, ends) & (bases == "derived_from_end")
    is_uncertain = is_late & ~is_trusted & ~(np.abs(gap) <= _CLOCKS_AGREE)
    bases[is_uncertain] = "reported"
    bases[is_trusted] = "measured"
    return np.where(is_trusted, noted, derived), bases.tolist()


def read_device_times(values: Sequence[object]) -> Times:
    """The times (UTC, microseconds) of `offline_timestamp` values; NaT for 0, 1 and all other values that are no time."""
    return np.array([_read_time(value) for value in values], dtype="datetime64[us]")


def _read_time(value: object) -> np.datetime64 | None:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    scale = next((units for low, high, units in _UNITS_PER_SECOND if low <= value < high), None)
    return None if scale is None else np.datetime64(int(value * (1_000_000 // scale)), "us")


def _find_crowded(noted: Times, ends: Times) -> npt.NDArray[np.bool_]:
    """Whether rows with more than two different ends name this start: then it is a constant of the export, not a start."""
    pairs = zip(noted.astype(np.int64).tolist(), ends.astype(np.int64).tolist(), strict=True)
    count = Counter(start for start, _ in set(pairs))
    return np.array([count[start] > _MOST_ROWS_OF_A_START for start in noted.astype(np.int64).tolist()], bool)
