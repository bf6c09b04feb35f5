"""The times of Last.fm files: seconds since 1970, or text in UTC, to the minute or to the second."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from soundlake.history.play_columns import Times, parse_times

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, start=1)}
_TEXT = re.compile(
    r"(?:[A-Za-z]{3,9},? )?(\d{1,2}) ([A-Za-z]{3})[a-z]* (\d{4}),? +(\d{1,2}):(\d\d)(:\d\d)?(?: ?([AaPp])[Mm])?(?: (?:UTC|GMT))?", re.ASCII
)
_ISO = re.compile(r"\d{4}([-/])\d\d\1\d\d[T ]\d\d:\d\d(:\d\d)?[0-9.]*(?:Z| UTC|[+-]\d\d:?\d\d)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)  # a date alone is no time
_HALF_A_DAY = 12


def is_time(text: str) -> bool:
    """Whether the text is a time in one of the forms."""
    return bool(_TEXT.fullmatch(text) or _ISO.fullmatch(text) or (text.isdecimal() and len(text) in (9, 10, 13)))


def read_times(values: Sequence[object]) -> tuple[Times, npt.NDArray[np.bool_]]:
    """The times (UTC; NaT for what is none), and which are known to the minute only."""
    pairs = [_normalize(value) for value in values]
    return parse_times([value for value, _ in pairs]), np.array([is_minute for _, is_minute in pairs], bool)


def _normalize(value: object) -> tuple[object, bool]:
    """The value as `parse_times` reads it, and whether it has no seconds."""
    if not isinstance(value, str):
        return value, False
    text = value.strip()
    if text.isdecimal():
        return int(text[:20]), False
    if match := _TEXT.fullmatch(text):
        day, month, year, hour, minute, seconds, half = match.groups()
        number = _MONTHS.get(month.casefold(), 0)
        hours = int(hour) % _HALF_A_DAY + _HALF_A_DAY * (half in "Pp") if half else int(hour)
        return f"{year}-{number:02}-{int(day):02}T{hours:02}:{minute}{seconds or ':00'}Z", seconds is None
    if match := _ISO.fullmatch(text):
        return text.replace("/", "-"), match[2] is None
    return (None if _DATE.fullmatch(text) else text), False
