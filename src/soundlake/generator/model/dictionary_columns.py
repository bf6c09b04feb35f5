"""Columns of events as codes: a text that comes again stands once, and every row holds its number (Arrow's dictionary type)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from soundlake.generator.model.randomness import Ints

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Validity:
    """Which rows have a value, as Arrow has it: reckoned once for all columns that are null in the same rows."""

    bits: pa.Buffer | None
    nulls: int

    @classmethod
    def of(cls, is_there: Flags) -> Self:
        """Of a flag a row."""
        nulls = len(is_there) - int(np.count_nonzero(is_there))
        return cls(_pack(is_there) if nulls else None, nulls)

    def write_numbers(self, numbers: Ints, kind: pa.DataType) -> pa.Array:
        """A column of numbers as they lie in memory."""
        return pa.Array.from_buffers(kind, len(numbers), [self.bits, pa.py_buffer(np.ascontiguousarray(numbers))], self.nulls)

    def write_flags(self, flags: Flags) -> pa.Array:
        """A column of yes and no."""
        return pa.Array.from_buffers(pa.bool_(), len(flags), [self.bits, _pack(flags)], self.nulls)


ALL_VALID = Validity(None, 0)
"""No row is without a value."""


@dataclass(frozen=True)
class TextDictionary:
    """Texts by number. Each distinct one stands once: Parquet's writer would silently take the wrong one of two that are equal.

    `codes` is the place of each number's text; None if all are distinct already.
    """

    distinct: pa.Array
    codes: NDArray[np.int32] | None = None

    @classmethod
    def of(cls, values: pa.Array) -> Self:
        """Of a text a number."""
        encoded = values.dictionary_encode()
        return cls(encoded.dictionary, None if len(encoded.dictionary) == len(values) else encoded.indices.to_numpy())

    def pick(self, numbers: Ints, validity: Validity = ALL_VALID) -> pa.DictionaryArray:
        """The text of each row's number."""
        if len(self.distinct) > len(numbers):  # most are not in use: Parquet would write them all the same
            used, place = np.unique(numbers if self.codes is None else self.codes[numbers], return_inverse=True)
            return TextDictionary(self.distinct.take(pa.array(used))).pick(place, validity)
        codes = numbers.astype(np.int32, copy=False) if self.codes is None else self.codes.take(numbers)
        return pa.DictionaryArray.from_arrays(validity.write_numbers(codes, pa.int32()), self.distinct)


@lru_cache
def make_name_dictionary(names: tuple[str | None, ...]) -> tuple[TextDictionary, Flags | None]:
    """The texts of these names, and which of them there are (None: all)."""
    is_there = np.array([name is not None for name in names])
    return TextDictionary.of(pa.array([name or "" for name in names])), None if is_there.all() else is_there


def look_up_names(names: tuple[str | None, ...], numbers: Ints, validity: Validity = ALL_VALID) -> pa.DictionaryArray:
    """The name of each row's number; null where there is none, or no presence."""
    texts, is_there = make_name_dictionary(names)
    return texts.pick(numbers, validity if is_there is None else Validity.of(is_there[numbers]))


def repeat(value: str, rows: int) -> pa.DictionaryArray:
    """The same text in every row."""
    return look_up_names((value,), np.zeros(rows, np.int32))


def scatter_texts(values: pa.Array, at: Ints, rows: int) -> pa.DictionaryArray:
    """The values in the rows `at`, in their order; null in the others."""
    number, is_there = np.zeros(rows, np.int32), np.zeros(rows, bool)
    number[at], is_there[at] = np.arange(len(at)), True
    return TextDictionary.of(values if len(values) else pa.array([""])).pick(number, Validity.of(is_there))


def _pack(flags: Flags) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
