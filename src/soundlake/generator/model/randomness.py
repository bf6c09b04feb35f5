"""Stateless random numbers: each is a hash of a key and a purpose, so any part of the world can be generated alone and in any order.

A key identifies a thing (a listener, a listener's day, a session, a play); a purpose names the random variable. The hash is the
finalizer of SplitMix64 (Steele, Lea, Flood 2014), which passes BigCrush as a counter-based generator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Ints = NDArray[np.signedinteger[Any]]
Floats = NDArray[np.floating[Any]]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)
_HALF, _LOW_HALF = np.uint64(32), np.uint64(0xFFFFFFFF)
_FRACTION_BITS, _FRACTION = np.uint64(11), 2.0**-53
_HALF_FRACTION = 2.0**-32


def mix(keys: Keys) -> Keys:
    """Hash each number of 64 bits."""
    mixed = keys ^ (keys >> _SHIFT_1)
    mixed *= _MIX_1
    mixed ^= mixed >> _SHIFT_2
    mixed *= _MIX_2
    mixed ^= mixed >> _SHIFT_3
    return mixed


def hash_text(text: str) -> np.uint64:
    """A hash of 64 bits of a text."""
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


_SALTS = {
    "session": np.uint64(0x29D8692D340675F8),
    "sessions": np.uint64(0x26A96AB94B5F4038),
    "sessions a day, log": np.uint64(0x41702C0119D78C56),
    "plays a session, log": np.uint64(0x5DA3EE68C7614F9F),
    "plays a session, spread": np.uint64(0x0B47C0CD9B3D27A3),
}
"""Purposes that were renamed keep their salts: the same seed gives the same events in every version."""


@cache
def get_salt(purpose: str) -> np.uint64:
    """The number that is added to a key for a purpose."""
    return _SALTS[purpose] if purpose in _SALTS else hash_text(purpose)


def root_key(seed: int, fingerprint: int) -> Keys:
    """The key of a world with this seed and catalogue, as an array of length one."""
    return mix(mix(np.array([seed], np.uint64) + get_salt("world")) ^ np.uint64(fingerprint))


def child_keys(parents: Keys, purpose: str, numbers: NDArray[np.integer] | int) -> Keys:
    """The keys of numbered children of each parent (shapes broadcast)."""
    counted = np.asarray(numbers).astype(np.int64).astype(np.uint64) * _STEP
    return mix((parents ^ get_salt(purpose)) + counted)


def draw_bits(keys: Keys, purpose: str) -> Keys:
    """64 random bits for each key."""
    return mix(keys + get_salt(purpose))


def draw(keys: Keys, purpose: str) -> Floats:
    """A uniform number in [0, 1) for each key."""
    return (draw_bits(keys, purpose) >> _FRACTION_BITS) * _FRACTION


def draw_pair(keys: Keys, purpose: str) -> tuple[Floats, Floats]:
    """Two independent uniform numbers in [0, 1), of 32 bits each, from one hash."""
    bits = draw_bits(keys, purpose)
    return (bits >> _HALF) * _HALF_FRACTION, (bits & _LOW_HALF) * _HALF_FRACTION


def draw_normal(keys: Keys, purpose: str) -> Floats:
    """A standard normal number for each key (Box and Muller)."""
    first, second = draw_pair(keys, purpose)
    return np.asarray(np.sqrt(-2.0 * np.log(1.0 - first)) * np.cos(2.0 * np.pi * second))


def draw_normals(keys: Keys, purpose: str, count: int) -> Floats:
    """`count` standard normal numbers for each key: one row per key."""
    return draw_normal(child_keys(keys[:, None], purpose, np.arange(count)), "normal")


def draw_rank(keys: Keys, purpose: str, exponents: Floats, sizes: Floats) -> Ints:
    """A heavy-tailed rank in [0, size) for each key: bounded Pareto, with density proportional to (1 + rank)^-exponent."""
    slope = 1.0 - exponents
    span = (sizes + 1.0) ** slope - 1.0
    ranks = (1.0 + draw(keys, purpose) * span) ** (1.0 / slope) - 1.0
    return np.minimum(ranks, sizes - 1).astype(np.int64)


def choose(cdf: Floats, shares: Floats) -> Ints:
    """The column that each share falls into; `cdf` has one row per share, ascending to 1."""
    return np.asarray(np.minimum((shares[:, None] >= cdf).sum(axis=1), cdf.shape[1] - 1))


def combine(weights: Floats, parts: Sequence[Floats]) -> Floats:
    """The weighted sum of the parts for each row; `weights` has one column per part, a part is a number, a vector or a vector per row.

    The order of summation is fixed: the last bit of a matrix product depends on the number of rows.
    """
    columns = weights.T if np.ndim(parts[0]) == 0 else weights.T[:, :, None]
    total = columns[0] * parts[0]
    for column, part in zip(columns[1:], parts[1:], strict=True):
        total = total + column * part
    return np.asarray(total)


def find_distinct(keys: Keys) -> tuple[Ints, Ints]:
    """The row of one example of each distinct key, and for each row the index of its distinct key."""
    order = np.argsort(keys)
    sorted_keys = keys[order]
    begins = np.append(np.ones(min(1, len(keys)), bool), sorted_keys[1:] != sorted_keys[:-1])
    which = np.empty(len(keys), np.int64)
    which[order] = np.cumsum(begins) - 1
    return order[begins], which
