"""Where listeners live: countries with their shares, and time zones with their offsets, including daylight saving time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from soundlake.generator.model.randomness import Floats, Ints

PLACES: tuple[tuple[str, str, float], ...] = (
    ("US", "America/New_York", 13), ("US", "America/Chicago", 8), ("US", "America/Los_Angeles", 8), ("US", "America/Denver", 2),
    ("BR", "America/Sao_Paulo", 9), ("MX", "America/Mexico_City", 7), ("AR", "America/Argentina/Buenos_Aires", 3),
    ("CO", "America/Bogota", 3), ("CL", "America/Santiago", 2), ("CA", "America/Toronto", 3), ("GB", "Europe/London", 7),
    ("DE", "Europe/Berlin", 6), ("FR", "Europe/Paris", 4), ("ES", "Europe/Madrid", 4), ("IT", "Europe/Rome", 3),
    ("SE", "Europe/Stockholm", 2), ("NL", "Europe/Amsterdam", 2), ("PL", "Europe/Warsaw", 2), ("TR", "Europe/Istanbul", 2),
    ("EG", "Africa/Cairo", 1), ("NG", "Africa/Lagos", 1), ("ZA", "Africa/Johannesburg", 1), ("SA", "Asia/Riyadh", 1),
    ("IL", "Asia/Jerusalem", 1), ("IN", "Asia/Kolkata", 6), ("TH", "Asia/Bangkok", 1), ("ID", "Asia/Jakarta", 3),
    ("PH", "Asia/Manila", 3), ("KR", "Asia/Seoul", 1), ("JP", "Asia/Tokyo", 2), ("AU", "Australia/Sydney", 2),
    ("NZ", "Pacific/Auckland", 1),
)  # fmt: skip
"""Country (ISO 3166-1 alpha-2), time zone (IANA) and share of the listeners."""

COUNTRIES: tuple[str, ...] = tuple(country for country, _, _ in PLACES)
SHARES_CDF: Floats = np.cumsum([share for _, _, share in PLACES]) / sum(share for _, _, share in PLACES)
_NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
IS_EASTERN: NDArray[np.bool_] = np.array([_NEW_YEAR.astimezone(ZoneInfo(zone)).hour in range(4, 14) for _, zone, _ in PLACES])
"""Places so far east that the local day (from 04:00) begins on the previous day in UTC, in every season."""


@cache
def list_utc_offsets(first_day: int, days: int) -> Ints:
    """Seconds to subtract from local time to get UTC: one row per place, one column per local hour from midnight of `first_day` on.

    A local hour that is skipped in spring counts as the hour after it; one that is repeated in autumn counts as the first.
    """
    midnight = datetime(1970, 1, 1) + timedelta(days=first_day)  # noqa: DTZ001  # local time, before a place adds its zone
    return np.array([_list_offsets_of(ZoneInfo(zone), midnight, days) for _, zone, _ in PLACES], np.int64)


def _list_offsets_of(zone: ZoneInfo, midnight: datetime, days: int) -> list[int]:
    """Looked up by the hour only on days whose offset changes: a look-up takes microseconds."""
    at_midnight = [_find_offset(midnight + timedelta(days=day), zone) for day in range(days + 1)]
    offsets: list[int] = []
    for day, (begin, end) in enumerate(pairwise(at_midnight)):
        if begin == end:
            offsets += [begin] * 24
        else:
            offsets += [_find_offset(midnight + timedelta(days=day, hours=hour), zone) for hour in range(24)]
    return offsets


def _find_offset(local: datetime, zone: ZoneInfo) -> int:
    return round((local.replace(tzinfo=UTC) - local.replace(tzinfo=zone).astimezone(UTC)).total_seconds())
