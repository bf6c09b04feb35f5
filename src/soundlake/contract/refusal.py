"""A row that an importer refused, wrapped so that it travels the log like an event and ends in bronze/rejected."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_MARK = "_refused"
_REASON = re.compile(r"[a-z][a-z0-9_]{0,63}")

REFUSED_PREFIX = b'{"' + _MARK.encode() + b'":'
"""How the bytes of every wrapped row begin."""


@dataclass(frozen=True)
class RefusedRow:
    """What a wrapped row says of itself."""

    reason: str
    source: str
    user_id: str


def wrap_refused(reason: str, source: str, user_id: str, row: Mapping[str, object]) -> bytes:
    """One JSON object that the decoder rejects with `reason`; equal bytes for equal arguments, whatever the order of the row's fields.

    `row` is what was read, as `json.loads` gives it. Raises ValueError for a reason that is no short snake_case word.
    """
    if not _REASON.fullmatch(reason):
        raise ValueError(f"{reason!r} is not a reason: write a short word in snake_case")
    return _dump({_MARK: {"reason": reason, "row": _dump(row).decode(), "source": source, "user_id": user_id}})


def read_refused(fields: Mapping[str, object]) -> RefusedRow | None:
    """What a decoded JSON object says if it is a wrapped row, else None."""
    told = fields.get(_MARK) if len(fields) == 1 else None
    if not isinstance(told, dict) or set(told) != {"reason", "row", "source", "user_id"}:
        return None
    if not all(isinstance(value, str) for value in told.values()) or not _REASON.fullmatch(told["reason"]):
        return None
    return RefusedRow(told["reason"], told["source"], told["user_id"])


def _dump(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
