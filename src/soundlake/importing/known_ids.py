"""A set of event ids: millions of them in 16 bytes each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_TEXT_LENGTH = 36
_DASHES = (8, 13, 18, 23)
_DIGITS = np.array([position for position in range(_TEXT_LENGTH) if position not in _DASHES])
_VALUES = np.zeros(256, np.uint8)
_VALUES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_MOST_RUNS = 8

Ids = npt.NDArray[np.bytes_]


class KnownIds:
    """A set of UUIDs, kept as a few sorted arrays; all methods take whole columns (UUID text, lower case).

    An array of `large_run` ids or more is not merged again: a merge takes the memory of its arrays once more.
    """

    def __init__(self, *, large_run: int = 4_000_000) -> None:
        self._large_run = large_run
        self._runs: list[Ids] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, event_ids: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
        """Add the ids; true for each that is new, of equal ones for the first."""
        ids = parse_uuids(event_ids)
        new = np.zeros(len(ids), bool)
        unique, first = np.unique(ids, return_index=True)
        fresh = ~self._contains(unique)
        new[first[fresh]] = True
        self._append(unique[fresh])
        return new

    def contains(self, event_ids: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
        """Whether each id is in the set."""
        return self._contains(parse_uuids(event_ids))

    def discard(self, event_ids: pa.Array | pa.ChunkedArray) -> None:
        """Remove the ids; those that are not in the set are ignored."""
        gone = np.unique(parse_uuids(event_ids))
        self._runs = [run[~_find(gone, run)] for run in self._runs]

    def _contains(self, ids: Ids) -> npt.NDArray[np.bool_]:
        found = np.zeros(len(ids), bool)
        for run in self._runs:
            found |= _find(run, ids)
        return found

    def _append(self, ids: Ids) -> None:
        if len(ids):
            self._runs.append(ids)
        small = [run for run in self._runs if len(run) < self._large_run]
        if len(small) > _MOST_RUNS:
            merged = np.concatenate(small)
            merged.sort(kind="stable")
            self._runs = [*(run for run in self._runs if len(run) >= self._large_run), merged]


def parse_uuids(texts: pa.Array | pa.ChunkedArray) -> Ids:
    """The 16 bytes of each UUID text, as numpy byte strings: they compare correctly since all have the same length."""
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if not len(texts):
        return np.empty(0, "S16")
    characters = np.frombuffer(texts.cast(pa.binary()).cast(pa.binary(_TEXT_LENGTH)).buffers()[1], np.uint8)
    digits = _VALUES[characters[: len(texts) * _TEXT_LENGTH].reshape(-1, _TEXT_LENGTH)[:, _DIGITS]]
    return np.ascontiguousarray(digits[:, 0::2] << 4 | digits[:, 1::2]).view("S16").ravel()


def _find(run: Ids, ids: Ids) -> npt.NDArray[np.bool_]:
    """Whether each id is in the sorted array."""
    if not len(run):
        return np.zeros(len(ids), bool)
    rows = np.minimum(np.searchsorted(run, ids), len(run) - 1)
    found: npt.NDArray[np.bool_] = run[rows] == ids
    return found
