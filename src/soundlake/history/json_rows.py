"""Parse a JSON document that is held whole; an error has the position at which it is not valid."""

from __future__ import annotations

import json

import orjson

from soundlake.history.models import BrokenFile

_BOM = b"\xef\xbb\xbf"


def parse_document(name: str, data: bytes) -> list[object] | None:
    """The elements of a JSON array (of arrays in an array: their elements), or a single object; None if there are several values.

    The text is UTF-8, with or without a byte order mark. Raises BrokenFile if it is not one valid document.
    """
    try:
        document = orjson.loads(data.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        try:
            document = _parse_leniently(name, data)
        except BrokenFile:
            if data.removeprefix(_BOM).lstrip().startswith(b"{"):
                return None  # a line that is not valid costs only its row
            raise
        except _SeveralValues:
            return None
    if isinstance(document, dict):
        return [document]
    if not isinstance(document, list):
        raise BrokenFile(name, f"holds a JSON {type(document).__name__}, not a list of rows", line=1, column=1, byte=0)
    return [row for element in document for row in (element if isinstance(element, list) else [element])]


class _SeveralValues(Exception):  # no error: another way to read the text
    """The text has more than one JSON value."""


def _parse_leniently(name: str, data: bytes) -> object:
    """Parse with the standard library, which accepts NaN and half surrogate pairs, and reports the position of an error."""
    try:
        text = _drop_last_comma(data).decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        column = cause.start - (data.rfind(b"\n", 0, cause.start) + 1) + 1
        raise BrokenFile(name, "is not UTF-8", line=line, column=column, byte=cause.start) from cause
    try:
        return _replace_half_surrogates(json.loads(text))
    except json.JSONDecodeError as cause:
        if cause.msg == "Extra data":
            raise _SeveralValues from cause
        problem = "ends in the middle" if not text.rstrip().endswith("]") else f"is not valid JSON: {cause.msg}"
        byte = len(text[: cause.pos].encode()) + len(data) - len(text.encode())
        raise BrokenFile(name, problem, line=cause.lineno, column=cause.colno, byte=byte) from cause
    except RecursionError as cause:
        raise BrokenFile(name, "is nested too deeply to be an export") from cause


def _drop_last_comma(data: bytes) -> bytes:
    """The text without a comma behind the last element of its array, which editing by hand leaves."""
    inner = data.rstrip().removesuffix(b"]").rstrip()
    return inner[:-1] + b"]" if inner.endswith(b",") and data.rstrip().endswith(b"]") else data


def _replace_half_surrogates(value: object) -> object:
    """Replace each half of a surrogate pair, which UTF-8 cannot encode, by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_replace_half_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_replace_half_surrogates(name): _replace_half_surrogates(item) for name, item in value.items()}
    return value
