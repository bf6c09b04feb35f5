"""The CSV files of Last.fm tools: which column is what, and pages that a tool read twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soundlake.history.lastfm_times import is_time

_TIMES = ("uts", "timestamp", "date_uts", "unixtime", "listened_at", "played_at", "utc_time", "datetime", "date", "time")
_ARTISTS = ("artist", "artist_name", "artist name", "artistname")
_TITLES = ("track", "track_name", "track name", "trackname", "title", "song", "name")
_ALBUMS = ("album", "album_name", "album name", "albumname", "release")
_LEAST_PAGE = 50
"""Rows that repeat earlier ones in the same order: that many in a row are a page that was read twice, not listening."""
_SHIFTS_TRIED = 20


@dataclass(frozen=True)
class Columns:
    """The places of the columns of a file."""

    time: int
    artist: int
    title: int
    album: int | None
    header: tuple[str, ...] = ()

    @property
    def has_header(self) -> bool:
        """Whether the first row has the names of the columns."""
        return bool(self.header)

    @property
    def mapped(self) -> set[str]:
        """The columns that the contract has a field for."""
        used = (self.time, self.artist, self.title, self.album)
        return {*(self.header[place] for place in used if place is not None), "utc_time"}

    def name_cells(self, cells: Sequence[str]) -> dict[str, object]:
        """The row as it is kept if it is refused."""
        return dict(zip(self.header, cells, strict=False)) if self.header else {"cells": [*cells]}

    def find_time(self, cells: Sequence[str]) -> str:
        """The time; where it is the last column, a comma in it ("23 Feb 2016, 17:59") has made several cells of it."""
        is_last = self.time > max(self.artist, self.title, self.album or 0)
        return ", ".join(cells[self.time :]).strip(" ,") if is_last and not self.has_header else get_cell(cells, self.time)


def get_cell(cells: Sequence[str], place: int | None) -> str:
    """The cell; empty if the row is too short."""
    return cells[place] if place is not None and place < len(cells) else ""


def find_columns(rows: Sequence[Sequence[str]]) -> Columns | None:
    """The columns by the header, or by the two layouts that have none; None if the rows are no scrobbles."""
    if not rows:
        return None
    header = [cell.casefold().partition("#")[0] for cell in rows[0]]  # "Date#name" has the account
    time, artist, title, album = (_find_place(header, names) for names in (_TIMES, _ARTISTS, _TITLES, _ALBUMS))
    if time is not None and artist is not None and title is not None:
        return Columns(time, artist, title, album, header=tuple(header))
    layouts = (Columns(3, 0, 2, 1), Columns(0, 2, 6, 4), Columns(2, 0, 1, None))
    for layout, widths in zip(layouts, ((4, 5), (8,), (3,)), strict=True):
        fitting = [row for row in rows if len(row) in widths and is_time(layout.find_time(row))]
        if len(fitting) * 2 > len(rows):
            return layout
    return None


def _find_place(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


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
