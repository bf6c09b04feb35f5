"""The CSV files of Last.fm tools: which column is what, and pages that a tool read twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soundlake.history.lastfm_times import is_time

_TIMES = (
    "uts", "timestamp", "timestamputc", "utctimestamp", "dateuts", "unixtime", "unixtimestamp", "listenedat", "playedat", "scrobbledat",
    "playbackdate", "scrobbletime", "scrobbledate", "utctime", "datetime", "dateutc", "date", "time",
)  # fmt: skip
_ARTISTS = ("artist", "artistname")
_TITLES = ("track", "trackname", "title", "song", "songname", "name")
_ALBUMS = ("album", "albumname", "albumtitle", "release")
_BETWEEN_WORDS = re.compile("[^a-z0-9]")
_LEAST_PAGE = 50
"""Rows that repeat earlier ones in the same order: that many in a row are a page that was read twice, not listening."""
_SHIFTS_TRIED = 20


@dataclass(frozen=True)
class Columns:
    """The places of the columns of a file; `clock` has the time of the day where `time` has the date only."""

    time: int
    artist: int
    title: int
    album: int | None
    clock: int | None = None
    header: tuple[str, ...] = ()

    @property
    def has_header(self) -> bool:
        """Whether the first row has the names of the columns."""
        return bool(self.header)

    @property
    def mapped(self) -> set[str]:
        """The columns that the contract has a field for."""
        used = (self.time, self.artist, self.title, self.album, self.clock)
        return {*(self.header[place] for place in used if place is not None), "utc_time"}

    def name_cells(self, cells: Sequence[str]) -> dict[str, object]:
        """The row as it is kept if it is refused."""
        return dict(zip(self.header, cells, strict=False)) if self.header else {"cells": [*cells]}

    def find_time(self, cells: Sequence[str]) -> str:
        """The time; where it is the last column, a comma in it ("23 Feb 2016, 17:59") has made two cells of it."""
        time = get_cell(cells, self.time)
        if self.clock is not None and not is_time(time):
            return f"{time} {get_cell(cells, self.clock)}".strip()
        is_split = not self.has_header and self.time > max(self.artist, self.title, self.album or 0) and len(cells) == self.time + 2
        return ", ".join(cells[self.time :]).strip(" ,") if is_split else time


_LAYOUTS = (
    (Columns(3, 0, 2, 1), (4, 5)),  # lastfm-to-csv
    (Columns(0, 2, 6, 4), (8,)),  # lastfm.ghan.nl, its header cut off
    (Columns(0, 2, 1, 3), (4, 5, 6, 7)),  # lastexport.py
    (Columns(3, 0, 1, 2), (6,)),  # universalscrobbler.com
    (Columns(0, 2, 3, None, clock=1), (4,)),  # lastfm-backup-cli
    (Columns(2, 0, 1, None), (3,)),
)
"""The files without a header: their columns, and how many cells a row has."""


def get_cell(cells: Sequence[str], place: int | None) -> str:
    """The cell; empty if the row is too short."""
    return cells[place] if place is not None and place < len(cells) else ""


def find_columns(rows: Sequence[Sequence[str]]) -> Columns | None:
    """The columns by the header, or by the layouts that have none; None if the rows are no scrobbles."""
    if not rows:
        return None
    header = [cell.casefold().partition("#")[0] for cell in rows[0]]  # "Date#name" has the account
    time, artist, title, album = (_find_place(header, names) for names in (_TIMES, _ARTISTS, _TITLES, _ALBUMS))
    if time is not None and artist is not None and title is not None:
        clock = _find_place(header, ("time",)) if header[time] == "date" else None
        return Columns(time, artist, title, album, clock, tuple(header))
    for layout, widths in _LAYOUTS:
        fitting = [row for row in rows if len(row) in widths and is_time(layout.find_time(row))]
        if len(fitting) * 2 > len(rows):
            return layout
    return None


def _find_place(header: Sequence[str], names: Sequence[str]) -> int | None:
    plain = [_BETWEEN_WORDS.sub("", name) for name in header]
    return next((plain.index(name) for name in names if name in plain), None)


def find_doubled_rows(hashes: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Which rows of a file belong to a page that was read before: runs of rows that repeat earlier ones in the same order."""
    values = np.array(hashes, np.int64)
    order = np.argsort(values, kind="stable")
    shifts = np.zeros(len(values), np.int64)
    again = values[order[1:]] == values[order[:-1]]
    shifts[order[1:][again]] = (order[1:] - order[:-1])[again]
    found, counts = np.unique(shifts[shifts > 0], return_counts=True)
    doubled = np.zeros(len(values), bool)
    for shift in found[np.argsort(-counts)][:_SHIFTS_TRIED].tolist():
        equal = np.concatenate([np.zeros(shift, bool), values[shift:] == values[:-shift]])
        for start, end in find_runs(equal):
            if end - start >= _LEAST_PAGE:
                doubled[start:end] = True
    return doubled


def find_runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The first and the last place (exclusive) of each run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
