"""A row that an importer refused, wrapped so that it travels the log like an event and ends in bronze/rejected."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import msgspec

_MARK = "_refused"
_REASON = re.compile(r"[a-z][a-z0-9_]{0,63}")

REFUSED_ROW_PREFIX = b'{"' + _MARK.encode() + b'":'
"""How the bytes of every wrapped row begin."""


class RefusedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a wrapped row says: why it was refused, by the import of which source, whose it is, and the row itself as JSON text."""

    reason: str
    row: str
    source: str
    user_id: str


def wrap_refused_row(reason: str, source: str, user_id: str, row: Mapping[str, object]) -> bytes:
    """One JSON object that the decoder rejects with `reason`; equal bytes for equal arguments, whatever the order of the row's fields.

    `row` is what was read, as `json.loads` gives it. Raises ValueError for a reason that is no short snake_case word.
    """
    if not _REASON.fullmatch(reason):
        raise ValueError(f"{reason!r} is not a reason: write a short word in snake_case")
    return _dump({_MARK: {"reason": reason, "row": _dump(row).decode(), "source": source, "user_id": user_id}})


def read_refused_row(members: Mapping[str, msgspec.Raw]) -> RefusedRow | None:
    """What the members of a JSON object say if it is a wrapped row, else None."""
    if len(members) != 1 or _MARK not in members:
        return None
    try:
        told = msgspec.json.decode(members[_MARK], type=RefusedRow)
    except msgspec.DecodeError:
        return None
    return told if _REASON.fullmatch(told.reason) else None


def _dump(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
