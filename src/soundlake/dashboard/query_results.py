"""The typed answers to the questions of the pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Content = Literal["track", "artist", "album"]
Measure = Literal["plays", "time"]
Grain = Literal["day", "week", "month"]

_MOST_DAYS = 120
_MOST_WEEKS = 110


@dataclass(frozen=True)
class Summary:
    """The figures of a window; `skip_rate` is null where no source says whether plays were skipped."""

    plays: int
    heard_ms: int
    tracks: int
    artists: int
    listeners: int
    days: int
    started: int
    skip_rate: float | None


@dataclass(frozen=True)
class Bucket:
    """One day, week (from Monday) or month of a window, also one without a play; `first` and `last` are its days inside the window."""

    first: date
    last: date
    plays: int
    heard_ms: int
    tracks: int
    artists: int
    listeners: int
    skip_rate: float | None


@dataclass(frozen=True)
class RankedItem:
    """One entry of a top list; `share` is of all plays (or all time) that the filters leave, and the track's own fields are null else."""

    name: str
    by: str | None
    plays: int
    heard_ms: int
    share: float
    track_id: str | None
    is_synthetic: bool


@dataclass(frozen=True)
class HourOfWeek:
    """Plays of one hour of the week; weekday 1 is Monday, hours are UTC."""

    weekday: int
    hour: int
    plays: int


@dataclass(frozen=True)
class DeviceBucket:
    """How many plays were started on one device type in a bucket."""

    first: date
    last: date
    device: str
    started: int


@dataclass(frozen=True)
class DeviceUsage:
    """What one device type was used for in the window."""

    device: str
    started: int
    plays: int
    heard_ms: int
    skip_rate: float | None


@dataclass(frozen=True)
class Recommendation:
    """One recommended track; `source` names the model, `reason` says why in words."""

    rank: int
    track_id: str
    track_name: str | None
    artist_name: str | None
    album_name: str | None
    score: float
    source: str
    reason: str | None
    is_synthetic: bool


def choose_grain(days: int) -> Grain:
    """The grain in which so many days make a readable chart."""
    if days <= _MOST_DAYS:
        return "day"
    return "week" if days <= _MOST_WEEKS * 7 else "month"
