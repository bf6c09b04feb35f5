"""Timestamps as text in RFC 3339 with seconds and zone: parse and format columns of them (UTC, microseconds since 1970)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MICROS_A_DAY = 86_400_000_000
_MICROS_A_MINUTE = 60_000_000
FIRST_MICROS = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z, the earliest timestamp that all engines support."""
LAST_MICROS = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z, the latest timestamp that all engines support."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RFC3339 = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-]([0-9]{2}):([0-9]{2}))")
_WHOLE_SECONDS = len("2026-11-22T16:05:09Z")
_COMMON_LENGTHS = frozenset(_WHOLE_SECONDS + more for more in (0, 4, 7, 10))
_FIRST_DAYS = np.arange("0001-01", "10000-02", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _pack_words(texts: list[str]) -> np.ndarray:
    """Pack texts of up to eight characters (filled with NUL) into numbers: OR combines two, and one store writes eight bytes."""
    return np.array([text.encode() for text in texts], "S8").view(np.uint64)


_MAX_DAY_RANGE = 1 << 16
_MINUTES = _pack_words([f"\0\0T{minute // 60:02}:{minute % 60:02}" for minute in range(1_440)])
_SECONDS = _pack_words([f":{second:02}." for second in range(60)])
_THOUSANDTHS = _pack_words([f"\0\0\0\0{number:03}Z" for number in range(1_000)])
_MILLIONTHS = np.array([list(f"{number:03}".encode()) for number in range(1_000)], np.uint8)


def format_timestamps(timestamps: pa.Array) -> pa.Array:
    """Format a timestamp column, `2026-11-22T16:05:09.123Z`: three decimals, or six in all rows if one needs them; nulls stay null.

    Raises ValueError for a year outside 1 to 9999.
    """
    micros = timestamps.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).fill_null(0).to_numpy()
    if len(micros) and (micros.min() < FIRST_MICROS or micros.max() > LAST_MICROS):
        raise ValueError("RFC 3339 has no text for a timestamp outside the years 1 to 9999")
    days, of_day = _divide(micros, _MICROS_A_DAY)
    seconds_of_day, fraction = _divide(of_day, 1_000_000)
    minutes, seconds = _divide(seconds_of_day, 60)
    millis, rest = _divide(fraction, 1_000)
    years_and_months, days_of_month = _format_dates(days)
    words = np.empty((len(micros), 3), np.uint64)
    words[:, 0] = years_and_months
    words[:, 1] = days_of_month | _MINUTES[minutes]
    words[:, 2] = _SECONDS[seconds] | _THOUSANDTHS[millis]
    texts = words.view(np.uint8)
    if rest.any():
        texts = np.concatenate([texts[:, :23], _MILLIONTHS[rest], texts[:, 23:]], axis=1)
    offsets = np.arange(len(micros) + 1, dtype=np.int32) * texts.shape[1]
    written = pa.StringArray.from_buffers(len(micros), pa.py_buffer(offsets), pa.py_buffer(texts))
    return written if timestamps.null_count == 0 else pc.if_else(timestamps.is_valid(), written, None)


def _divide(numbers: np.ndarray, by: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the quotient, rounded down, and the remainder, in less than half the time of numpy's divmod."""
    quotient = numbers // by
    return quotient, numbers - quotient * by


def _format_dates(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Format `YYYY-MM-` and `DD` of each day number, as words of eight and of two characters."""
    if not len(days) or int(days.max()) - int(days.min()) > _MAX_DAY_RANGE:
        distinct, place = np.unique(days, return_inverse=True)
    else:
        distinct = np.arange(int(days.min()), int(days.max()) + 1)
        place = days - days.min()
    dates = np.datetime_as_string(distinct.astype("datetime64[D]")).tolist()
    return _pack_words([date[:8] for date in dates])[place], _pack_words([date[8:] for date in dates])[place]


def format_timestamp(micros: int) -> str:
    """Format one timestamp in microseconds since 1970, with decimals if it has any; as a number outside the years 1 to 9999."""
    if not FIRST_MICROS <= micros <= LAST_MICROS:
        return f"{micros} µs since 1970"
    return f"{(_EPOCH + timedelta(microseconds=micros)).replace(tzinfo=None).isoformat()}Z"


def parse_timestamp(text: str) -> int | None:
    """Parse one timestamp in RFC 3339 (§5.6: seconds and zone required, a space allowed for T) into microseconds since 1970, else None.

    Digits beyond the microsecond are cut off. Not accepted: second 60, hour 24, a date alone, and years outside 1 to 9999 (in UTC).
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    date, clock, fraction, zone, zone_hours, zone_minutes = found.groups()
    try:
        at = datetime.fromisoformat(f"{date}T{clock}+00:00")
    except ValueError:
        return None
    micros = (at - _EPOCH) // _MICROSECOND + int((fraction or "")[:6].ljust(6, "0"))
    if zone_hours is not None:
        if int(zone_hours) > 23 or int(zone_minutes) > 59:  # noqa: PLR2004  # limits of the clock
            return None
        shift = (int(zone_hours) * 60 + int(zone_minutes)) * _MICROS_A_MINUTE
        micros += shift if zone[0] == "-" else -shift
    return micros if FIRST_MICROS <= micros <= LAST_MICROS else None


def parse_timestamps(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Parse each text as `parse_timestamp` does: int64 microseconds, and whether the text is valid; null is not.

    Forms that end in Z with 0, 3, 6 or 9 decimals are parsed column by column, others one by one.
    """
    micros, known = np.zeros(len(texts), np.int64), np.zeros(len(texts), bool)
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4) if len(texts) else np.zeros(1, np.int32)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    lengths = np.diff(offsets)
    valid = texts.is_valid().to_numpy(zero_copy_only=False)
    for length in np.unique(lengths[valid]).tolist():
        rows = np.flatnonzero(valid & (lengths == length))
        if length in _COMMON_LENGTHS:
            if len(rows) == len(texts):
                places = data[offsets[0] : offsets[-1]].reshape(-1, length)
            else:
                places = data[offsets[rows][:, None] + np.arange(length)]
            micros[rows], known[rows] = _parse_characters(np.ascontiguousarray(places.T))
    for row in np.flatnonzero(valid & ~known).tolist():
        parsed = parse_timestamp(texts[row].as_py())
        if parsed is not None:
            micros[row], known[row] = parsed, True
    return micros, known


def _parse_characters(characters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parse timestamps of one common form, given as one row of bytes per position in the text: microseconds, and which are valid."""
    length = len(characters)
    digits = characters - np.uint8(ord("0"))

    def number(*positions: int) -> np.ndarray:
        value: np.ndarray = digits[positions[0]].astype(np.int32)
        for position in positions[1:]:
            value = value * 10 + digits[position]
        return value

    year, month, day = number(0, 1, 2, 3), number(5, 6), number(8, 9)
    hour, minute, second = number(11, 12), number(14, 15), number(17, 18)
    marks = {4: "-", 7: "-", 10: "T", 13: ":", 16: ":", length - 1: "Z"} | ({19: "."} if length > _WHOLE_SECONDS else {})
    good = np.max(np.delete(digits, list(marks), axis=0), axis=0) <= 9  # noqa: PLR2004  # a digit
    for position, mark in marks.items():
        good &= characters[position] == ord(mark)
    good &= (year >= 1) & (month >= 1) & (month <= 12) & (hour <= 23) & (minute <= 59) & (second <= 59)  # noqa: PLR2004  # limits of the clock
    day_number, month_length = _count_days(np.where(good, year, 1970), np.where(good, month, 1))
    good &= (day >= 1) & (day <= month_length)
    micros = ((day_number + day - 1) * 86_400 + (hour * 3_600 + minute * 60 + second)) * 1_000_000
    if length > _WHOLE_SECONDS:
        decimals = range(20, min(length - 1, 26))
        micros += number(*decimals) * 10 ** (6 - len(decimals))
    return micros, good


def _count_days(year: np.ndarray, month: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the days from 1970-01-01 to the first of each month (int64), and those of that month."""
    place = (year - 1) * 12 + month - 1
    first = _FIRST_DAYS[place]
    return first, _FIRST_DAYS[place + 1] - first
