"""Times (UTC) and milliseconds since 1970, exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def read_ms(at_ms: int) -> datetime:
    """A time (UTC) from milliseconds since 1970."""
    return _EPOCH + at_ms * _MILLISECOND


def write_ms(at: datetime) -> int:
    """Milliseconds since 1970; fractions of one are left out."""
    return (at - _EPOCH) // _MILLISECOND


def format_ms(at_ms: int) -> str:
    """A time as text: `2026-11-22T16:05:09.123Z`."""
    return read_ms(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
