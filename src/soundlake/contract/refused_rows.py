"""Rows that an import refused, wrapped so that they pass through the log like events and end in bronze/rejected.

"Refused" is said of rows of an import, "rejected" of records that the decoder or a rule does not accept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import msgspec

_MARK = "_refused"
_REASON = re.compile(r"[a-z][a-z0-9_]{0,63}")

REFUSED_ROW_PREFIX = b'{"' + _MARK.encode() + b'":'
"""The first bytes of every wrapped row."""


class WrappedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a wrapped row: the reason, the row as JSON text, the source of the import, and the user it belongs to."""

    reason: str
    row: str
    source: str
    user_id: str


def wrap_refused_row(reason: str, source: str, user_id: str, row: Mapping[str, object]) -> bytes:
    """Wrap a row in a JSON object that the decoder rejects with `reason`; equal rows give equal bytes, in any order of fields.

    `row` is the row as `json.loads` gives it. Raises ValueError for a reason that is not a short snake_case word.
    """
    if not _REASON.fullmatch(reason):
        raise ValueError(f"{reason!r} is not a reason: use a short word in snake_case")
    return _dump({_MARK: {"reason": reason, "row": _dump(row).decode(), "source": source, "user_id": user_id}})


def read_refused_row(members: Mapping[str, msgspec.Raw]) -> WrappedRow | None:
    """Read the members of a JSON object as a wrapped row; None if they are not one."""
    if len(members) != 1 or _MARK not in members:
        return None
    try:
        wrapped = msgspec.json.decode(members[_MARK], type=WrappedRow)
    except msgspec.DecodeError:
        return None
    return wrapped if _REASON.fullmatch(wrapped.reason) else None


def _dump(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
