"""Whose a record is, as far as it can be read: by its key, by its `user_id`, or by an id within bytes that do not decode."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}={0,2}")
_SHORTEST_IN_BASE64 = 6
"""Bytes of an id that is looked for in base64: a shorter one leaves so few characters that they are found anywhere."""
_IDS_PER_PASS = 200  # the alternatives of one regular expression


class OwnerSearch:
    """Finds the records of some listeners.

    A record that names its listener is that one's, whomever it mentions. One that names none (or does not parse) is theirs if it contains
    an id as a word: plain, escaped as in JSON once or twice, or in base64. `sources` limits it to records that name one of them.
    """

    def __init__(self, user_ids: Collection[str], sources: Collection[str] | None = None) -> None:
        self._ids, self._sources = frozenset(user_ids), sources
        self._keys = frozenset(user_id.encode() for user_id in user_ids)
        forms = sorted({form for user_id in user_ids for form in _list_forms(user_id)}, key=len, reverse=True)
        self._words = re.compile(rb"(?<![0-9A-Za-z_\x80-\xff-])(?:" + b"|".join(map(re.escape, forms)) + rb")(?![0-9A-Za-z_\x80-\xff-])")
        self._patterns = list(_make_patterns(forms, user_ids))

    def find(self, keys: pa.Array, values: pa.Array) -> np.ndarray:
        """A mask of records (binary columns): true for those of the listeners."""
        mask = np.zeros(len(values), np.bool_)
        if not self._ids:
            return mask
        for column in (keys, values):
            for pattern in self._patterns:
                mask |= pc.fill_null(pc.match_substring_regex(column, pattern), fill_value=False).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(mask).tolist():
            mask[row] = self._is_theirs(keys[row].as_py(), values[row].as_py() or b"")
        return mask

    def mask(self, text: bytes) -> bytes:
        """The text with every such word as asterisks, of the same length."""
        return self._words.sub(lambda found: b"*" * len(found[0]), text)

    def _is_theirs(self, key: bytes | None, value: bytes) -> bool:
        named, source = _read_owner(value)
        if self._sources is not None and source not in self._sources:
            return False
        if key in self._keys or named is not None:
            return key in self._keys or named in self._ids
        return bool(self._words.search(value) or any(self._words.search(part) for part in _decode_base64(value)))


def _read_owner(value: bytes) -> tuple[str | None, str | None]:
    """The `user_id` and the source that a record names, also a wrapped row's; None where it names none."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None, None
    if isinstance(found, dict) and isinstance(found.get("_refused"), dict):
        found = found["_refused"]
    if not isinstance(found, dict):
        return None, None
    user_id, source = found.get("user_id"), found.get("source")
    return user_id if isinstance(user_id, str) else None, source if isinstance(source, str) else None


def _list_forms(user_id: str) -> Iterator[bytes]:
    """An id as a record may contain it: plain, and escaped as in JSON once or twice."""
    yield user_id.encode()
    once = json.dumps(user_id)[1:-1]
    yield once.encode()
    yield json.dumps(once)[1:-1].encode()


def _make_patterns(forms: Collection[bytes], user_ids: Collection[str]) -> Iterator[str]:
    texts = [form.decode() for form in forms]
    for user_id in user_ids:
        if len(user_id.encode()) >= _SHORTEST_IN_BASE64:
            texts += _list_base64(user_id.encode())
    for start in range(0, len(texts), _IDS_PER_PASS):
        yield "|".join(map(_escape, texts[start : start + _IDS_PER_PASS]))


def _list_base64(word: bytes) -> Iterator[str]:
    """What base64 always makes of these bytes, at each of the three places in a group; both alphabets."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + word).decode().rstrip("=")
        first, last = -(-shift * 8 // 6), (shift + len(word)) * 8 // 6
        yield from {encoded[first:last], encoded[first:last].replace("+", "-").replace("/", "_")}


def _escape(text: str) -> str:
    """A text for RE2, where a letter after a backslash would be a class."""
    return re.sub(r"([^0-9A-Za-z_\x80-\U0010ffff])", r"\\\1", text)


def _decode_base64(value: bytes) -> Iterator[bytes]:
    for found in _BASE64.findall(value):
        text = found.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        try:
            yield base64.b64decode(text + b"=" * (-len(text) % 4))
        except binascii.Error:
            continue
