"""Moments as text: RFC 3339 with seconds and zone, read and written by the column (UTC, microseconds since 1970)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MICROS_A_DAY = 86_400_000_000
_MICROS_A_MINUTE = 60_000_000
FIRST_MICROS = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z, the earliest moment that every engine here can hold."""
LAST_MICROS = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z, the latest one."""


def _table_of(texts: list[str]) -> np.ndarray:
    return np.array([list(text.encode()) for text in texts], np.uint8)


_MINUTES = _table_of([f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(1_440)])
_SECONDS = _table_of([f"{second:02}." for second in range(60)])
_THOUSANDTHS = _table_of([f"{number:03}" for number in range(1_000)])


def write_moments(moments: pa.Array) -> pa.Array:
    """A timestamp column as text, `2026-11-22T16:05:09.123Z`: three decimals, or six where any row needs them; nulls stay null.

    Raises ValueError for a year outside 1 to 9999.
    """
    micros = moments.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).fill_null(0).to_numpy()
    if len(micros) and (micros.min() < FIRST_MICROS or micros.max() > LAST_MICROS):
        raise ValueError("a moment outside the years 1 to 9999 has no text in RFC 3339")
    days, of_day = np.divmod(micros, _MICROS_A_DAY)
    minutes, of_minute = np.divmod(of_day, _MICROS_A_MINUTE)
    seconds, fraction = np.divmod(of_minute, 1_000_000)
    millis, rest = np.divmod(fraction, 1_000)
    width = 27 if rest.any() else 24
    texts = np.full((len(micros), width), ord("Z"), np.uint8)
    texts[:, 0:10] = _write_dates(days)
    texts[:, 10:17] = _MINUTES[minutes]
    texts[:, 17:20] = _SECONDS[seconds]
    texts[:, 20:23] = _THOUSANDTHS[millis]
    if width > 24:  # noqa: PLR2004 the width without the last three decimals
        texts[:, 23:26] = _THOUSANDTHS[rest]
    offsets = np.arange(len(micros) + 1, dtype=np.int32) * width
    written = pa.StringArray.from_buffers(len(micros), pa.py_buffer(offsets), pa.py_buffer(texts))
    return written if moments.null_count == 0 else pc.if_else(moments.is_valid(), written, None)


def _write_dates(days: np.ndarray) -> np.ndarray:
    """YYYY-MM-DD of each day number, as rows of ten bytes."""
    distinct, place = np.unique(days, return_inverse=True)
    dates = np.datetime_as_string(distinct.astype("datetime64[D]")).astype("S10")
    return dates.view(np.uint8).reshape(-1, 10)[place]
