"""Columns of any Arrow type as plain columns and as texts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_NULLS = pa.array(["", "nan", "nat", "null", "none", "<na>", "na", "n/a", "#n/a", "\\n"])

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """A converted column (null where bad), and which cells are bad; of times also how many had no zone or were numbers."""

    values: pa.Array
    is_bad: Mask
    without_zone: int = 0
    as_numbers: int = 0


def unwrap(column: pa.Array) -> pa.Array:
    """The column without dictionary, run-end and extension types; UUIDs, large texts and bytes in UTF-8 become text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return unwrap(column.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return unwrap(pc.run_end_decode(column))
    if isinstance(kind, pa.BaseExtensionType) and kind != pa.uuid():
        return unwrap(column.storage)
    return _cast_to_text(column)


def _cast_to_text(column: pa.Array) -> pa.Array:
    kind = column.type
    if kind == pa.uuid():
        return pa.array([value and str(value) for value in column.to_pylist()], pa.string())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if not is_bytes(kind):
        return column
    try:
        return column.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return column


def is_bytes(kind: pa.DataType) -> bool:
    """Whether the type holds bytes that need not be text."""
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(check(kind) for check in checks)


def write_texts(column: pa.Array) -> pa.Array:
    """Each cell as the text that CSV has for it; NaN is null."""
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_integer(column.type):
        return column.cast(pa.string())
    return pa.array([_write(value) for value in column.to_pylist()], pa.string())


def read_values(column: pa.Array) -> list[object]:
    """The cells as Python values; times lose what is below a microsecond."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[object] = column.to_pylist()
    return values


def trim_texts(column: pa.Array) -> pa.Array:
    """The cells of a field that is no text as texts without white space at their ends; null where the text means null."""
    texts = pc.utf8_trim_whitespace(write_texts(column))
    is_null = pc.is_in(pc.utf8_lower(texts), _NULLS)
    return pc.if_else(is_null, None, texts) if pc.any(is_null).as_py() else texts


def to_mask(array: pa.Array) -> Mask:
    """A boolean column as a mask; null is false."""
    mask: Mask = pc.fill_null(array, fill_value=False).to_numpy(zero_copy_only=False)
    return mask


def _write(value: object) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
