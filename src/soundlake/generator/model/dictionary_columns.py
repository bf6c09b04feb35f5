"""Event columns of Arrow's dictionary type: each distinct text is stored once, each row holds its index."""

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
    """Arrow's validity bitmap: computed once for all columns that are null in the same rows."""

    bits: pa.Buffer | None
    nulls: int

    @classmethod
    def of(cls, is_valid: Flags) -> Self:
        """From one flag per row."""
        nulls = len(is_valid) - int(np.count_nonzero(is_valid))
        return cls(_pack(is_valid) if nulls else None, nulls)

    def write_numbers(self, numbers: Ints, kind: pa.DataType) -> pa.Array:
        """A column of numbers, without a copy."""
        return pa.Array.from_buffers(kind, len(numbers), [self.bits, pa.py_buffer(np.ascontiguousarray(numbers))], self.nulls)

    def write_flags(self, flags: Flags) -> pa.Array:
        """A column of booleans."""
        return pa.Array.from_buffers(pa.bool_(), len(flags), [self.bits, _pack(flags)], self.nulls)


ALL_VALID = Validity(None, 0)
"""Every row has a value."""


@dataclass(frozen=True)
class TextDictionary:
    """Texts by number, each distinct text once: with duplicates, Arrow's Parquet writer silently writes the wrong text.

    `indices` maps each number to its text; None if the numbers already are the indices.
    """

    distinct: pa.Array
    indices: NDArray[np.int32] | None = None

    @classmethod
    def of(cls, values: pa.Array) -> Self:
        """From one text per number."""
        encoded = values.dictionary_encode()
        return cls(encoded.dictionary, None if len(encoded.dictionary) == len(values) else encoded.indices.to_numpy())

    def pick(self, numbers: Ints, validity: Validity = ALL_VALID) -> pa.DictionaryArray:
        """A dictionary column with the text of each row's number."""
        if len(self.distinct) > len(numbers):  # most are unused here, and Parquet writes unused ones too
            used, index = np.unique(numbers if self.indices is None else self.indices[numbers], return_inverse=True)
            return TextDictionary(self.distinct.take(pa.array(used))).pick(index, validity)
        indices = numbers.astype(np.int32, copy=False) if self.indices is None else self.indices.take(numbers)
        return pa.DictionaryArray.from_arrays(validity.write_numbers(indices, pa.int32()), self.distinct)


@lru_cache
def make_name_dictionary(names: tuple[str | None, ...]) -> tuple[TextDictionary, Flags | None]:
    """The dictionary of these names, and which of them are not null (None: all)."""
    is_valid = np.array([name is not None for name in names])
    return TextDictionary.of(pa.array([name or "" for name in names])), None if is_valid.all() else is_valid


def look_up_names(names: tuple[str | None, ...], numbers: Ints, validity: Validity = ALL_VALID) -> pa.DictionaryArray:
    """The name of each row's number; null where the name is None or the row is not valid."""
    texts, is_valid = make_name_dictionary(names)
    return texts.pick(numbers, validity if is_valid is None else Validity.of(is_valid[numbers]))


def repeat_text(value: str, rows: int) -> pa.DictionaryArray:
    """The same text in every row."""
    return look_up_names((value,), np.zeros(rows, np.int32))


def scatter_texts(values: pa.Array, at: Ints, rows: int) -> pa.DictionaryArray:
    """The values, in order, in the rows `at`; null in the other rows."""
    number, is_valid = np.zeros(rows, np.int32), np.zeros(rows, bool)
    number[at], is_valid[at] = np.arange(len(at)), True
    return TextDictionary.of(values if len(values) else pa.array([""])).pick(number, Validity.of(is_valid))


def _pack(flags: Flags) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
