"""Find the rows in a JSON value: files of several downloads merged by hand, wrapped in an object, or saved again by Pandas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

_LEVELS = 8
"""How deep a row can lie: an object of pages, each with a list in an object, has five."""

IsRow = Callable[[object], bool]


def list_rows(value: object, is_row: IsRow, levels: int = _LEVELS) -> Sequence[Any]:
    """The rows in the value; the value itself if there are none.

    A list gives all its elements, so that each is counted; an object that is no row those of its members that hold a row. An object of
    columns (`{"ts": {"0": …, "1": …}, …}`, the usual form of Pandas) is read as rows.
    """
    if isinstance(value, list) and levels:
        return [row for element in value for row in list_rows(element, is_row, levels - 1)]
    if isinstance(value, dict):
        if is_row(value):
            return _turn_columns(value) or [value]
        holding = [member for member in value.values() if _holds_row(member, is_row, levels - 1)]
        if holding:
            return [row for member in holding for row in list_rows(member, is_row, levels - 1)]
    return [value]


def _holds_row(value: object, is_row: IsRow, levels: int) -> bool:
    if levels <= 0 or not isinstance(value, (list, dict)):
        return False
    members = value if isinstance(value, list) else value.values()
    return is_row(value) or any(_holds_row(member, is_row, levels - 1) for member in members)


def _turn_columns(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an object of columns; empty if it is none."""
    columns = list(value.values())
    if not all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns):
        return []
    return [{name: column[row] for name, column in value.items()} for row in columns[0]]
