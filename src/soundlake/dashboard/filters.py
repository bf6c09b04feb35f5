"""What the reader of the dashboard has chosen, as plain values; nothing here knows SQL or Streamlit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

UNKNOWN_DEVICE = "unknown"
ALL_TIME = "All time"
CUSTOM_PERIOD = "Choose dates"
DEFAULT_PERIOD = "Last 30 days"
PERIOD_DAYS: dict[str, int] = {"Last 7 days": 7, DEFAULT_PERIOD: 30, "Last 90 days": 90, "Last 365 days": 365}
PERIODS: tuple[str, ...] = (*PERIOD_DAYS, ALL_TIME, CUSTOM_PERIOD)  # as they are shown and as they stand in a shared link

_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Extent:
    """The first and the last play that there is, in UTC."""

    first: datetime
    last: datetime


@dataclass(frozen=True)
class Window:
    """A stretch of time in UTC: `since` is inside, `until` is not."""

    since: datetime
    until: datetime

    @property
    def first_day(self) -> date:
        """The day it begins on."""
        return self.since.date()

    @property
    def last_day(self) -> date:
        """The last day it touches."""
        return (self.until - _TICK).date()

    @property
    def days(self) -> int:
        """How many calendar days it touches."""
        return (self.last_day - self.first_day).days + 1


@dataclass(frozen=True)
class Filters:
    """Everything that narrows a question; no listener means all of them, and no devices too."""

    window: Window
    listener: str | None = None
    devices: tuple[str, ...] = ()

    def move_to(self, window: Window) -> Filters:
        """The same choice at another time."""
        return replace(self, window=window)


def resolve_window(period: str, days: tuple[date, ...], extent: Extent) -> Window:
    """The window that a choice means; a period of N days ends with the last day on which something was played.

    `days` counts only for the custom period: its first and last day, both inside; one day alone, or none, is completed from the extent.
    """
    if period == CUSTOM_PERIOD:
        first = days[0] if days else extent.first.date()
        last = days[1] if len(days) > 1 else max(first, extent.last.date())
        return _span_days(first, last)
    if period in PERIOD_DAYS:
        return _span_days(extent.last.date() - _DAY * (PERIOD_DAYS[period] - 1), extent.last.date())
    return _span_days(extent.first.date(), extent.last.date())


def find_previous_window(window: Window, extent: Extent) -> Window | None:
    """The equally long stretch before, ending at the same time of day as the data does; None where the data begins later than it.

    A window that ends today is compared with as much of its last day as has passed, so a day that is not over does not look like a loss.
    """
    length = _DAY * window.days
    if window.since - length < _start_day(extent.first.date()):
        return None
    heard_until = max(window.since, min(window.until, extent.last + _TICK))
    return Window(window.since - length, heard_until - length)


def _span_days(first: date, last: date) -> Window:
    return Window(_start_day(first), _start_day(last) + _DAY)


def _start_day(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
