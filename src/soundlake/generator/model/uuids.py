"""UUIDs from random keys, as Arrow texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from soundlake.generator.model.randomness import Keys, draw_bits

_HEX_QUADS = np.frombuffer(np.arange(1 << 16).astype(">u2").tobytes().hex().encode(), np.uint32)
"""The four hexadecimal digits of each number of 16 bits, their bytes read as one number."""
_UUID = np.dtype({"names": list("abcdefgh"), "formats": [np.uint32] * 8, "offsets": [0, 4, 9, 14, 19, 24, 28, 32], "itemsize": 36})
"""The offsets of each group of four digits in the text; dashes are between them."""


def write_uuids(high: Keys, low: Keys) -> pa.Array:
    """UUID texts (version 8, RFC 9562 §5.8: custom bits) from pairs of 64 bits."""
    first, second = (half.astype("<u8").view("<u2").reshape(-1, 4) for half in (high, low))
    quads = [first[:, 3], first[:, 2], first[:, 1], first[:, 0] & 0x0FFF | 0x8000]
    quads += [second[:, 3] & 0x3FFF | 0x8000, second[:, 2], second[:, 1], second[:, 0]]
    texts = np.full(len(high) * _UUID.itemsize, ord("-"), np.uint8)
    for name, quad in zip("abcdefgh", quads, strict=True):
        texts.view(_UUID)[name] = _HEX_QUADS.take(quad)
    offsets = np.arange(len(high) + 1, dtype=np.int32) * _UUID.itemsize
    return pa.StringArray.from_buffers(len(high), pa.py_buffer(offsets), pa.py_buffer(texts))


def make_uuids(keys: Keys) -> pa.Array:
    """A UUID text for each key."""
    return write_uuids(draw_bits(keys, "id high"), draw_bits(keys, "id low"))
