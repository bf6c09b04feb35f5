"""Figures and dates as text."""

from __future__ import annotations

import re
from datetime import date, datetime

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_HOURS_WITH_MINUTES = 100
_MEANS_WITH_DECIMALS = 100
_SHORTEST_WORD = 3  # tv, pc: an abbreviation
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:$<>])")


def format_count(count: int) -> str:
    """A whole number with separators: 1,234,567."""
    return f"{count:,}"


def format_mean(mean: float | None) -> str:
    """An average: 3.4, 1,234; a dash without data."""
    if mean is None:
        return "–"
    return f"{mean:,.1f}" if mean < _MEANS_WITH_DECIMALS else f"{mean:,.0f}"


def format_duration(ms: int) -> str:
    """Listening time in hours and minutes: 42 min, 12 h 30 min, 1,234 h."""
    hours, minutes = divmod(round(ms / _MINUTE_MS), 60)
    if hours == 0:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if hours < _HOURS_WITH_MINUTES else f"{round(ms / _HOUR_MS):,} h"


def format_share(share: float | None) -> str:
    """A part of a whole: 12.3 %; a dash where it is unknown."""
    return "–" if share is None else f"{share:.1%}".replace("%", " %")


def format_change(now: float, before: float) -> str | None:
    """The change from before: +12.3 %; None where there was nothing before."""
    return f"{(now - before) / before:+.1%}".replace("%", " %") if before else None


def format_points(now: float | None, before: float | None) -> str | None:
    """The change of a share in percentage points: +1.2 points; None where one of them is unknown."""
    return None if now is None or before is None else f"{(now - before) * 100:+.1f} points"


def format_days(first: date, last: date) -> str:
    """A range of days: 24 Oct – 22 Nov 2026."""
    if first == last:
        return f"{first.day} {first:%b %Y}"
    year = "" if first.year == last.year else f" {first.year}"
    return f"{first.day} {first:%b}{year} – {last.day} {last:%b %Y}"


def format_moment(moment: datetime) -> str:
    """A time in UTC: 22 Nov 2026, 16:03 UTC."""
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def format_device(device: str) -> str:
    """A device type as a title: Mobile, TV, Game console."""
    return device.upper() if len(device) < _SHORTEST_WORD else device.replace("_", " ").capitalize()


def escape_markdown(text: str) -> str:
    """Text from the data for places where Streamlit reads Markdown."""
    return _MARKDOWN.sub(r"\\\1", text)
