"""A file's bytes as rows of JSON; a file that is no such thing is named with the position where it breaks."""

from __future__ import annotations

import json

import orjson

from soundlake.errors import DataError

_BOM = b"\xef\xbb\xbf"


class BrokenFile(DataError):
    """A file that cannot be read as a whole: what is wrong, and where (line and column from 1, byte from 0) if that is known."""

    def __init__(self, name: str, problem: str, *, line: int | None = None, column: int | None = None, byte: int | None = None) -> None:
        at = ", ".join(f"{what} {number}" for what, number in (("line", line), ("column", column), ("byte", byte)) if number is not None)
        super().__init__(f"{name}: {problem}" + (f" ({at})" if at else ""), next_step="unpack or download it again, then import it again")
        self.name, self.problem = name, problem
        self.line, self.column, self.byte = line, column, byte


def parse_rows(name: str, data: bytes) -> list[object]:
    """The elements of the one JSON list that the bytes are (UTF-8, with or without a byte order mark). Raises BrokenFile."""
    try:
        rows = orjson.loads(data.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        rows = _parse_leniently(name, data)
    if not isinstance(rows, list):
        raise BrokenFile(name, f"holds a JSON {type(rows).__name__}, not a list of rows", line=1, column=1, byte=0)
    return rows


def _parse_leniently(name: str, data: bytes) -> object:
    """What Python's own parser makes of it: it takes NaN and halves of surrogate pairs, and counts characters, so it knows the place."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        column = cause.start - (data.rfind(b"\n", 0, cause.start) + 1) + 1
        raise BrokenFile(name, "is not UTF-8", line=line, column=column, byte=cause.start) from cause
    try:
        return _mend(json.loads(text))
    except json.JSONDecodeError as cause:
        problem = "ends in the middle" if not text.rstrip().endswith("]") else f"is not valid JSON: {cause.msg}"
        byte = len(text[: cause.pos].encode()) + len(data) - len(text.encode())
        raise BrokenFile(name, problem, line=cause.lineno, column=cause.colno, byte=byte) from cause
    except RecursionError as cause:
        raise BrokenFile(name, "is nested too deeply to be an export") from cause


def _mend(value: object) -> object:
    """The same value with U+FFFD for every half of a surrogate pair, which no UTF-8 text can hold."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, dict):
        return {_mend(name): _mend(item) for name, item in value.items()}
    return value
