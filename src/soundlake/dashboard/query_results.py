"""The typed answers of `queries`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Content = Literal["track", "artist", "album"]
Measure = Literal["plays", "time"]


@dataclass(frozen=True)
class Summary:
    """The figures of a window; `skip_rate` is null where no source reports skips."""

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
    """One day, week (from Monday) or month of a window, also without plays; `first` and `last` are its days inside the window."""

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
    """One item of a top list; `share` is of all plays (or all time) that match the filters. Only a track has an id."""

    name: str
    by: str | None
    plays: int
    heard_ms: int
    share: float
    track_id: str | None
    is_synthetic: bool


@dataclass(frozen=True)
class HourOfWeek:
    """One hour of the week: its plays, and in how many of its weekdays. Weekday 1 is Monday, hours are UTC."""

    weekday: int
    hour: int
    plays: int
    occurrences: int

    @property
    def mean_plays(self) -> float | None:
        """Plays in this hour of one such weekday; None where the window has no such hour."""
        return self.plays / self.occurrences if self.occurrences else None


@dataclass(frozen=True)
class DeviceBucket:
    """How many plays were started on one device type in a bucket."""

    first: date
    last: date
    device: str
    started: int


@dataclass(frozen=True)
class DeviceUsage:
    """The use of one device type in the window."""

    device: str
    started: int
    plays: int
    heard_ms: int
    skip_rate: float | None


@dataclass(frozen=True)
class Recommendation:
    """One recommended track; `source` names the model, `reason` explains it in words."""

    rank: int
    track_id: str
    track_name: str | None
    artist_name: str | None
    album_name: str | None
    score: float
    source: str
    reason: str | None
    is_synthetic: bool
