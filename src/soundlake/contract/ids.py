"""Ids of imported and polled events: UUIDv5 of the natural key, so that importing a row again gives the same event."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from uuid import UUID, uuid5

import numpy as np
import pyarrow as pa

PROJECT_NAMESPACE = UUID("6f1d5c1e-3b0a-5f6e-9d0c-5a1b2e7c4d10")
"""The root namespace of all generated ids. Changing it gives every imported event a new id."""

_TEXT_LENGTH = 36
_DASHES = [8, 13, 18, 23]
_DIGITS = [position for position in range(_TEXT_LENGTH) if position not in _DASHES]
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def make_namespace(source: str) -> UUID:
    """Make the namespace for the ids of one source."""
    return uuid5(PROJECT_NAMESPACE, source)


def make_event_ids(source: str, keys: Iterable[str]) -> pa.Array:
    """Make the event_id (UUIDv5, lower case) of each natural key of a source; equal to uuid5(make_namespace(source), key)."""
    root = hashlib.sha1(make_namespace(source).bytes, usedforsecurity=False)
    digests = []
    for key in keys:
        digest = root.copy()
        digest.update(key.encode())
        digests.append(digest.digest())
    return _write_uuid_texts(np.frombuffer(b"".join(digests), np.uint8).reshape(-1, root.digest_size)[:, :16], version=5)


def _write_uuid_texts(raw: np.ndarray, *, version: int) -> pa.Array:
    """Format each row of 16 bytes as UUID text, with version and variant bits set (RFC 9562 §4.1, §4.2)."""
    raw = raw.copy()
    raw[:, 6] = (raw[:, 6] & 0x0F) | (version << 4)
    raw[:, 8] = (raw[:, 8] & 0x3F) | 0x80
    texts = np.full((len(raw), _TEXT_LENGTH), ord("-"), np.uint8)
    texts[:, _DIGITS[0::2]] = _HEX[raw >> 4]
    texts[:, _DIGITS[1::2]] = _HEX[raw & 0x0F]
    offsets = np.arange(len(raw) + 1, dtype=np.int32) * _TEXT_LENGTH
    return pa.StringArray.from_buffers(len(raw), pa.py_buffer(offsets), pa.py_buffer(texts))
