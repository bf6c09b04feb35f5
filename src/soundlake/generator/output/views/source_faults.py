"""Known faults of the sources of listening history, as data, and which plays have them: the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from soundlake.generator.model.randomness import Keys, child_keys, draw, hash_text


@dataclass(frozen=True)
class SourceFault:
    """A known fault: the share of the values of the column `per` that have it, what happens, and where it was seen."""

    name: str
    share: float
    what: str
    seen_in: str
    per: str = "play_id"


def add_faults(plays: pa.Table, scope: str, faults: Sequence[SourceFault], seed: int) -> pa.Table:
    """Two more columns for each fault: `<name>`, whether the play has it, and `<name>_draw`, uniform in [0, 1), for its amount."""
    keys = {column: _make_keys(plays[column], seed) for column in {fault.per for fault in faults}}
    for fault in faults:
        purpose = f"{scope} {fault.name}"
        plays = plays.append_column(fault.name, pa.array(draw(keys[fault.per], purpose) < fault.share))
        plays = plays.append_column(f"{fault.name}_draw", pa.array(draw(keys[fault.per], f"{purpose} amount")))
    return plays


def _make_keys(values: pa.ChunkedArray, seed: int) -> Keys:
    """A key for each value: equal values have equal keys."""
    encoded = values.cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()
    hashes = np.array([hash_text(text) for text in encoded.dictionary.to_pylist()], np.uint64)
    keys: Keys = child_keys(hashes, "source faults", seed).take(encoded.indices.to_numpy())
    return keys
