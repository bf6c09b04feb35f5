"""Randomness without state: every draw is a hash of what it is for, so that any part of the world can be made alone, in any order.

A key names a thing (a listener, a day of theirs, a sitting, a play); a purpose names the question asked of it. The hash is the
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
    """One well-mixed number for each number."""
    mixed = keys ^ (keys >> _SHIFT_1)
    mixed *= _MIX_1
    mixed ^= mixed >> _SHIFT_2
    mixed *= _MIX_2
    mixed ^= mixed >> _SHIFT_3
    return mixed


def hash_text(text: str) -> np.uint64:
    """A number of 64 bits that stands for a text."""
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


salt_of = cache(hash_text)
"""The number that a purpose adds to a key."""


def root_key(seed: int, fingerprint: int) -> Keys:
    """The key of a world of that seed over that catalogue, as an array of one."""
    return mix(mix(np.array([seed], np.uint64) + salt_of("world")) ^ np.uint64(fingerprint))


def child_keys(parents: Keys, purpose: str, numbers: NDArray[np.integer] | int) -> Keys:
    """The keys of numbered things below their parents (shapes broadcast)."""
    counted = np.asarray(numbers).astype(np.int64).astype(np.uint64) * _STEP
    return mix((parents ^ salt_of(purpose)) + counted)


def draw_bits(keys: Keys, purpose: str) -> Keys:
    """64 random bits for each key."""
    return mix(keys + salt_of(purpose))


def draw(keys: Keys, purpose: str) -> Floats:
    """A uniform number in [0, 1) for each key."""
    return (draw_bits(keys, purpose) >> _FRACTION_BITS) * _FRACTION


def draw_pair(keys: Keys, purpose: str) -> tuple[Floats, Floats]:
    """Two independent uniform numbers in [0, 1), of 32 bits each, for the price of one."""
    bits = draw_bits(keys, purpose)
    return (bits >> _HALF) * _HALF_FRACTION, (bits & _LOW_HALF) * _HALF_FRACTION


def draw_normal(keys: Keys, purpose: str) -> Floats:
    """A standard normal number for each key (Box and Muller)."""
    first, second = draw_pair(keys, purpose)
    return np.asarray(np.sqrt(-2.0 * np.log(1.0 - first)) * np.cos(2.0 * np.pi * second))


def draw_normals(keys: Keys, purpose: str, count: int) -> Floats:
    """`count` standard normal numbers for each key, one row a key."""
    return draw_normal(child_keys(keys[:, None], purpose, np.arange(count)), "normal")


def draw_rank(keys: Keys, purpose: str, exponents: Floats, sizes: Floats) -> Ints:
    """A rank from 0 below the size for each key, of a heavy tail: density falling as (1 + rank)^-exponent (bounded Pareto)."""
    slope = 1.0 - exponents
    reach = (sizes + 1.0) ** slope - 1.0
    ranks = (1.0 + draw(keys, purpose) * reach) ** (1.0 / slope) - 1.0
    return np.minimum(ranks, sizes - 1).astype(np.int64)


def choose(cumulated: Floats, shares: Floats) -> Ints:
    """The column each share falls into; `cumulated` has a row a share, ascending to 1."""
    return np.asarray(np.minimum((shares[:, None] >= cumulated).sum(axis=1), cumulated.shape[1] - 1))


def combine(weights: Floats, parts: Sequence[Floats]) -> Floats:
    """Each row's weighted sum of the parts: numbers, or vectors, or a vector a row each; the weights have a column a part.

    Added up in a fixed order: a matrix product would depend, in the last bit, on how many rows there are.
    """
    columns = weights.T if np.ndim(parts[0]) == 0 else weights.T[:, :, None]
    total = columns[0] * parts[0]
    for column, part in zip(columns[1:], parts[1:], strict=True):
        total = total + column * part
    return np.asarray(total)


def find_distinct(keys: Keys) -> tuple[Ints, Ints]:
    """A row of each distinct key, and for each row which of them is its own."""
    order = np.argsort(keys)
    sorted_keys = keys[order]
    begins = np.append(np.ones(min(1, len(keys)), bool), sorted_keys[1:] != sorted_keys[:-1])
    which = np.empty(len(keys), np.int64)
    which[order] = np.cumsum(begins) - 1
    return order[begins], which
