"""The field `extra`: all fields of an event that the contract does not know, as one JSON object with the values as written."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec
import orjson

from soundlake.contract.record import FIELD_NAMES

MAX_DEPTH = 100
"""The nesting limit of a record. Deeper ones exceed the recursion limit of some reader, so they are rejected."""

KNOWN_FIELDS = frozenset(FIELD_NAMES) - {"extra"}
"""The fields on the wire. A field named `extra` there is an unknown field like any other."""

Members = dict[str, msgspec.Raw]

_decode_members = msgspec.json.Decoder(Members).decode
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]', re.DOTALL)
_find_loose_colon = re.compile(rb'"[ \t\r\n]+:').search


class DuplicateField(ValueError):
    """A JSON object has duplicate fields; `members` holds the others."""

    def __init__(self, names: list[str], members: Members) -> None:
        super().__init__(f"{', '.join(names)}: more than once in one object")
        self.members = members


def read_members(value: bytes) -> Members:
    """Read the members of one JSON object, each value as the bytes that were written.

    Raises msgspec.DecodeError or UnicodeDecodeError if it is not a JSON object, DuplicateField for a duplicate name,
    RecursionError for more than MAX_DEPTH levels.
    """
    if is_too_deep(value):
        raise RecursionError(f"more than {MAX_DEPTH} levels")
    members = _decode_members(value)
    # One search per white-space character: a search for two bytes is much faster than a regular expression.
    may_be_loose = b'" ' in value or b'"\t' in value or b'"\r' in value or b'"\n' in value
    if value.count(b'":') != len(members) or (may_be_loose and _find_loose_colon(value)):
        _check_names(value, members)
    return members


def extract_unknown_fields(members: Mapping[str, msgspec.Raw]) -> str | None:
    """Extract `extra` of a record: its unknown fields as one JSON object without white space between values; None without such fields."""
    return _write_extra(members, [name for name in members if name not in KNOWN_FIELDS])


@dataclass
class UnknownFieldReader:
    """Reads the unknown fields of many records: `extras` of the rows in `kept`; `broken` lists the rows that do not parse.

    `names` collects the names of all fields that occur. The records must hold no control characters: white space is then a space only.
    """

    names: set[str]
    kept: list[int] = field(default_factory=list)
    extras: list[str | None] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)

    def read(self, values: Iterable[bytes]) -> None:
        """Read the records: `read_members` and `extract_unknown_fields` for each, inlined for speed."""
        unknown_of_shape: dict[tuple[str, ...], list[str]] = {}
        for place, value in enumerate(values):
            try:
                members = _decode_members(value)
                if value.count(b'":') != len(members) or b" :" in value:
                    _check_names(value, members)
            except (ValueError, RecursionError):
                self.broken.append(place)
                continue
            shape = tuple(members)
            unknown = unknown_of_shape.get(shape)
            if unknown is None:
                unknown = unknown_of_shape[shape] = [name for name in shape if name not in KNOWN_FIELDS]
                self.names.update(shape)
            extra = _write_extra(members, unknown)
            if extra is not None and len(extra) > MAX_DEPTH and is_too_deep(value):
                self.broken.append(place)
            else:
                self.kept.append(place)
                self.extras.append(extra)


def merge_unknown_fields(line: bytes, extra: str) -> bytes:
    """Add the fields of `extra` to an encoded event; an `extra` that is not an object of unknown fields is added as a text named extra."""
    body = extra if _is_in_normal_form(extra.encode()) else _normalize(extra)
    return b"{" + body[1:].encode() if line == b"{}" else line[:-1] + b"," + body[1:].encode()


def _is_in_normal_form(extra: bytes) -> bool:
    """Whether this is an object of unknown fields that `_normalize` would leave as it is: most are, and parsing alone is much faster."""
    if is_too_deep(extra):
        return False
    try:
        members = orjson.loads(extra)
    except orjson.JSONDecodeError:
        return False
    if not members or not isinstance(members, dict) or not KNOWN_FIELDS.isdisjoint(members):
        return False
    return orjson.dumps(members) == extra


def _normalize(extra: str) -> str:
    try:
        members = read_members(extra.encode())
    except (ValueError, RecursionError):  # the errors of msgspec and Unicode are ValueErrors
        members = {}
    body = extract_unknown_fields(members) if members and KNOWN_FIELDS.isdisjoint(members) else None
    if body is None or is_too_deep(body.encode()):
        body = json.dumps({"extra": extra}, ensure_ascii=False, separators=(",", ":"))
    return body


def is_too_deep(value: bytes) -> bool:
    """Return whether objects and arrays nest deeper than MAX_DEPTH."""
    if value.count(b"{") + value.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKEN.finditer(value):
        mark = token.group()[:1]
        depth += (mark in b"{[") - (mark in b"}]")
        if depth > MAX_DEPTH:
            return True
    return False


def _check_names(value: bytes, members: Members) -> None:
    """Raise DuplicateField for a duplicate name.

    Only needed if a cheaper check fails: without white space before a colon, each member has at least one `":`; if there are as many of
    these as distinct names, no name is a duplicate.
    """
    names = Counter(name for name, _ in json.loads(value, object_pairs_hook=list, parse_int=str, parse_float=str))
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise DuplicateField(twice, {name: raw for name, raw in members.items() if name not in twice})


def _write_extra(members: Mapping[str, msgspec.Raw], names: list[str]) -> str | None:
    if not names:
        return None
    if len(names) == 1:
        return f"{{{_quote(names[0])}:{_compact(bytes(members[names[0]]))}}}"
    return "{" + ",".join([f"{_quote(name)}:{_compact(bytes(members[name]))}" for name in names]) + "}"


def _compact(raw: bytes) -> str:
    if len(raw.split()) == 1:
        return raw.decode()
    return bytes(msgspec.json.format(raw, indent=-1)).decode()


@lru_cache(maxsize=4096)
def _quote(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
