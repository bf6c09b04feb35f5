"""Extract unknown fields column by column, for records whose unknown fields hold scalar values.

A faster version of `unknown_fields.UnknownFieldReader`. It finds the unknown fields with regular expressions and checks by counting colons
that it found all: without white space before a colon, each member of each object has at least one `":`. If their number is that of the
known and the found fields together, then there is no other field, no nested one and no duplicate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MAX_NAMES = 3
"""Each name costs a pass over all bytes."""

_is_word = re.compile(r"\w+", re.ASCII).fullmatch
_find_loose_colon = re.compile(rb'" +:').search
_VALUE = r'(?P<value>-?[0-9][0-9.eE+-]*|true|false|null|"[^"\\]*")'


def extract_unknown_columns(values: pa.BinaryArray, joined: bytes, known_cells: int, names: Iterable[str]) -> pa.StringArray | None:
    """Extract `extra` of each value; None if the check fails, that is if unknown fields hold more than scalars or have other names.

    `joined` is all values as one text, which parsed and holds no control characters except the newlines between values; `known_cells` is
    the number of known fields with a value.
    """
    unknown = sorted(names)
    if not 0 < len(unknown) <= _MAX_NAMES or not all(map(_is_word, unknown)):
        return None
    texts = values.view(pa.string())
    found = {name: pc.struct_field(pc.extract_regex(texts, rf'[{{,] *"{name}": *{_VALUE} *[,}}]'), "value") for name in unknown}
    cells = known_cells + sum(len(column) - column.null_count for column in found.values())
    if joined.count(b'":') != cells or (b'" ' in joined and _find_loose_colon(joined)):
        return None
    order = _find_order(texts, unknown)
    return None if order is None else _write_objects({name: found[name] for name in order})


def _find_order(texts: pa.StringArray, names: list[str]) -> list[str] | None:
    """Find the order of the fields; None if it is not the same in all records."""
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
