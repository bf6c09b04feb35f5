"""`extra`: the fields of an event that the contract does not know, as one JSON object whose values stand as they were written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from soundlake.contract.record import FIELD_NAMES

MAX_DEPTH = 100
"""How deep a record may nest; more is no event, and would end the recursion of one reader or another."""

KNOWN_FIELDS = frozenset(FIELD_NAMES) - {"extra"}
"""The fields that stand on the wire; a field called extra there is one that we do not know, like any other."""

Members = dict[str, msgspec.Raw]

_decode_members = msgspec.json.Decoder(Members).decode
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]', re.DOTALL)
_LOOSE_QUOTES = (b'" ', b'"\t', b'"\r', b'"\n')


class DuplicateField(ValueError):
    """A JSON object names a field twice, so that nobody can say which value was meant."""


def read_members(value: bytes) -> Members:
    """The members of one JSON object, each value as the bytes that were written.

    Raises msgspec.DecodeError or UnicodeDecodeError if it is none, DuplicateField for a name that stands twice,
    RecursionError for more than MAX_DEPTH levels.
    """
    if is_too_deep(value):
        raise RecursionError(f"more than {MAX_DEPTH} levels")
    members = _decode_members(value)
    if not _names_are_distinct(value, len(members)):
        raise DuplicateField("a field stands twice")
    return members


def pick_extra(members: Mapping[str, msgspec.Raw]) -> str | None:
    """`extra` of a record: one JSON object of the fields we do not know, without blanks between values; null if there is none."""
    unknown = [f"{_quote(name)}:{_compact(bytes(raw))}" for name, raw in members.items() if name not in KNOWN_FIELDS]
    return "{" + ",".join(unknown) + "}" if unknown else None


def merge_extra(line: bytes, extra: str) -> bytes:
    """The encoded event with the fields of `extra` beside its own; what is no object of unknown fields goes along as a text named extra."""
    try:
        members = read_members(extra.encode())
    except (ValueError, RecursionError):  # msgspec's and Unicode's errors are ValueErrors
        members = {}
    body = pick_extra(members) if members and KNOWN_FIELDS.isdisjoint(members) else None
    if body is None or is_too_deep(body.encode()):
        body = json.dumps({"extra": extra}, ensure_ascii=False, separators=(",", ":"))
    return b"{" + body[1:].encode() if line == b"{}" else line[:-1] + b"," + body[1:].encode()


def is_too_deep(value: bytes) -> bool:
    """Whether objects and arrays nest deeper than MAX_DEPTH."""
    if value.count(b"{") + value.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKEN.finditer(value):
        mark = token.group()[:1]
        depth += (mark in b"{[") - (mark in b"}]")
        if depth > MAX_DEPTH:
            return True
    return False


def _names_are_distinct(value: bytes, distinct: int) -> bool:
    """Whether an object with so many distinct names has no more members than names.

    With every colon next to its quote (no blank after any quote), each member shows as `":` at least once: as many marks as names is proof.
    """
    if value.count(b'":') == distinct and not any(loose in value for loose in _LOOSE_QUOTES):
        return True
    pairs = json.loads(value, object_pairs_hook=list, parse_int=str, parse_float=str)
    return len(pairs) == distinct


def _compact(raw: bytes) -> str:
    text = raw.decode()
    return text if text.isalnum() else bytes(msgspec.json.format(raw, indent=-1)).decode()


@lru_cache(maxsize=4096)
def _quote(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
