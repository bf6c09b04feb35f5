"""The filters that a visitor has chosen, as plain values, independent of SQL and Streamlit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

Grain = Literal["day", "week", "month"]

ALL_TIME = "All time"
CUSTOM_PERIOD = "Choose dates"
DEFAULT_PERIOD = "Last 30 days"
PERIOD_DAYS: dict[str, int] = {"Last 7 days": 7, DEFAULT_PERIOD: 30, "Last 90 days": 90, "Last 365 days": 365}
PERIODS: tuple[str, ...] = (*PERIOD_DAYS, ALL_TIME, CUSTOM_PERIOD)  # as shown and as written in a shared link

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_TICK = timedelta(microseconds=1)
_MOST_DAYS = 120
_MOST_WEEKS = 110


@dataclass(frozen=True)
class Extent:
    """The times, in UTC, between which there can be plays of a listener: from the first play to the newest play of all listeners."""

    first: datetime
    last: datetime


@dataclass(frozen=True)
class Window:
    """A range of time in UTC that includes `since` and excludes `until`."""

    since: datetime
    until: datetime

    @property
    def first_day(self) -> date:
        """The day of its beginning."""
        return self.since.date()

    @property
    def last_day(self) -> date:
        """The last day that it overlaps."""
        return (self.until - _TICK).date()

    @property
    def days(self) -> int:
        """The number of calendar days that it overlaps."""
        return (self.last_day - self.first_day).days + 1


@dataclass(frozen=True)
class Filters:
    """Everything that narrows a question; no listener means all listeners, no devices means all devices."""

    window: Window
    listener: str | None = None
    devices: tuple[str, ...] = ()

    def move_to(self, window: Window) -> Filters:
        """The same filters in another window."""
        return replace(self, window=window)


def resolve_window(period: str, days: tuple[date, ...], extent: Extent) -> Window:
    """The window of a period. A period of N days ends on the newest day of the data, which is the same day for every listener.

    `days` are the first and last day of the custom period, both included; a missing one is taken from the extent.
    """
    if period == CUSTOM_PERIOD:
        first = days[0] if days else extent.first.date()
        last = days[1] if len(days) > 1 else max(first, extent.last.date())
        return _span_days(first, last)
    if period in PERIOD_DAYS:
        return _span_days(extent.last.date() - _DAY * (PERIOD_DAYS[period] - 1), extent.last.date())
    return _span_days(extent.first.date(), extent.last.date())


def find_previous_window(window: Window, extent: Extent) -> Window | None:
    """The window of the same length before this one; None where the data begins later than that.

    If the newest day is in the window, the window before ends at the same time of day as the data does: an unfinished day is compared with
    the same part of a day.
    """
    length = _DAY * window.days
    if window.since - length < _start_day(extent.first.date()):
        return None
    data_until = max(window.since, min(window.until, extent.last + _TICK))
    return Window(window.since - length, data_until - length)


def find_complete_hours(window: Window, extent: Extent, built_at: datetime) -> Window:
    """The part of a window that has data for whole hours: from the first day of the data to the newest hour that was over at the build."""
    since = max(window.since, _start_day(extent.first.date()))
    newest_hour = extent.last.replace(minute=0, second=0, microsecond=0)
    until = min(window.until, newest_hour + _HOUR if built_at >= newest_hour + _HOUR else newest_hour)
    return Window(since, max(since, until))


def is_complete(first: date, last: date, grain: Grain, built_at: datetime) -> bool:
    """Whether days are a whole day, week (from Monday) or month that was over at the build."""
    after = last + _DAY
    is_whole = {"day": True, "week": first.weekday() == 0 == after.weekday(), "month": first.day == 1 == after.day}
    return is_whole[grain] and built_at >= _start_day(after)


def choose_grain(days: int) -> Grain:
    """The grain that makes a readable chart of that many days."""
    if days <= _MOST_DAYS:
        return "day"
    return "week" if days <= _MOST_WEEKS * 7 else "month"


def _span_days(first: date, last: date) -> Window:
    return Window(_start_day(first), _start_day(last) + _DAY)


def _start_day(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
