"""`extra` by the column: the fields that we do not know, of records that hold nothing but plain values in them.

The fast way for what `extra.UnknownFieldReader` does record by record. It reads the unknown fields by a pattern and lets the count of the colons
prove that it missed nothing: with each colon next to the quote of its name, every member of every object shows as `":` at least once. If
those are as many as the known fields and the found ones together, then there is no other field, no nested one and none that stands twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MOST_NAMES = 3
"""A pattern costs a pass over the bytes for each name."""

_is_word = re.compile(r"\w+", re.ASCII).fullmatch
_find_loose_colon = re.compile(rb'" +:').search
_VALUE = r'(?P<value>-?[0-9][0-9.eE+-]*|true|false|null|"[^"\\]*")'


def extract_unknown_columns(values: pa.BinaryArray, joined: bytes, known_cells: int, names: Iterable[str]) -> pa.StringArray | None:
    """`extra` of each value; None where the values hold more than plain ones in fields of these names (then nothing is proven).

    `joined` are the values as one text that parsed, with no control character in any; `known_cells` counts their known fields with a value.
    """
    unknown = sorted(names)
    if not 0 < len(unknown) <= _MOST_NAMES or not all(map(_is_word, unknown)):
        return None
    texts = values.view(pa.string())
    found = {name: pc.struct_field(pc.extract_regex(texts, rf'[{{,] *"{name}": *{_VALUE} *[,}}]'), "value") for name in unknown}
    cells = known_cells + sum(len(column) - column.null_count for column in found.values())
    if joined.count(b'":') != cells or (b'" ' in joined and _find_loose_colon(joined)):
        return None
    order = _find_order(texts, unknown)
    return None if order is None else _write_objects({name: found[name] for name in order})


def _find_order(texts: pa.StringArray, names: list[str]) -> list[str] | None:
    """The order in which the fields stand, None if it is not the same in all records."""
    if len(names) == 1:
        return names
    places = {name: np.asarray(pc.find_substring(texts, f'"{name}":')) for name in names}
    order = sorted(names, key=lambda name: float(places[name][places[name] >= 0].mean()) if (places[name] >= 0).any() else 0.0)
    kept = all(((places[a] < places[b]) | (places[b] < 0)).all() for a, b in combinations(order, 2))
    return order if kept else None


def _write_objects(columns: dict[str, pa.StringArray]) -> pa.StringArray:
    members = [pc.binary_join_element_wise(f'"{name}":', column, "") for name, column in columns.items()]
    joined = pc.binary_join_element_wise(*members, ",", null_handling="skip")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), pc.binary_join_element_wise("{", joined, "}", ""))
