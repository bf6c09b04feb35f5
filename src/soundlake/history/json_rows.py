"""Parse a file as a JSON list of rows; an error has the position at which the file is not valid."""

from __future__ import annotations

import json

import orjson

from soundlake.history.models import BrokenFile

_BOM = b"\xef\xbb\xbf"


def parse_rows(name: str, data: bytes) -> list[object]:
    """The elements of a JSON list (UTF-8, with or without a byte order mark). Raises BrokenFile."""
    try:
        rows = orjson.loads(data.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        rows = _parse_leniently(name, data)
    if not isinstance(rows, list):
        raise BrokenFile(name, f"holds a JSON {type(rows).__name__}, not a list of rows", line=1, column=1, byte=0)
    return rows


def _parse_leniently(name: str, data: bytes) -> object:
    """Parse with the standard library, which accepts NaN and half surrogate pairs, and reports the position of an error."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        column = cause.start - (data.rfind(b"\n", 0, cause.start) + 1) + 1
        raise BrokenFile(name, "is not UTF-8", line=line, column=column, byte=cause.start) from cause
    try:
        return _replace_half_surrogates(json.loads(text))
    except json.JSONDecodeError as cause:
        problem = "ends in the middle" if not text.rstrip().endswith("]") else f"is not valid JSON: {cause.msg}"
        byte = len(text[: cause.pos].encode()) + len(data) - len(text.encode())
        raise BrokenFile(name, problem, line=cause.lineno, column=cause.colno, byte=byte) from cause
    except RecursionError as cause:
        raise BrokenFile(name, "is nested too deeply to be an export") from cause


def _replace_half_surrogates(value: object) -> object:
    """Replace each half of a surrogate pair, which UTF-8 cannot encode, by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_replace_half_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_replace_half_surrogates(name): _replace_half_surrogates(item) for name, item in value.items()}
    return value
