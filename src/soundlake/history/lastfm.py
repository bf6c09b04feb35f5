"""Read Last.fm scrobbles as the usual tools save them: CSV with or without a header, or JSON in pages or as a list.

A scrobble has a time, an artist and a title, mostly an album. How long it was heard is not known. Forms: lastfm-to-csv (artist, album,
title, date to the minute), lastfm.ghan.nl (uts, …), lastfmstats.com (semicolons, milliseconds), saved answers of user.getRecentTracks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import orjson

from soundlake.contract.ids import make_event_ids
from soundlake.contract.record import SCHEMA_VERSION
from soundlake.history.file_head import FileHead
from soundlake.history.lastfm_csv import Columns, find_columns, find_doubled_rows, find_runs, get_cell
from soundlake.history.lastfm_times import read_times
from soundlake.history.models import BrokenFile, HistoryRows, RefusedRow
from soundlake.history.nested_rows import list_rows
from soundlake.history.play_columns import build_events, find_refusal_reasons, format_source_refs, write_extra
from soundlake.history.row_files import RowFile
from soundlake.history.scrobbles import make_scrobble_keys
from soundlake.history.twin_rows import number_twins

SOURCE = "lastfm"
_HIDDEN_PROFILE = "17"
_MINUTE = "minute"
_TIME_FIELDS = ("date", "uts", "timestamp", "time", "playback_date")
_MAPPED = ("name", "track", "title", "artist", "album", *_TIME_FIELDS, "@attr", "image", "url", "streamable", "loved")
_NO_ROWS = HistoryRows(build_events({}, 0))


@dataclass(frozen=True)
class Scrobble:
    """One row of any form; `row` as it is in the file, `extra` what the contract has no field for."""

    time: object
    artist: str | None
    title: str | None
    album: str | None
    row: dict[str, Any]
    extra: dict[str, Any]
    is_doubled: bool = False
    reason: str | None = None


class LastFm:
    """Reads saved scrobbles of Last.fm."""

    source = SOURCE
    title = "Last.fm scrobbles"

    def recognises(self, head: FileHead) -> bool:
        """Scrobbles in JSON, or CSV with columns of scrobbles."""
        if head.values:
            return any(_is_scrobble(row) for value in head.values for row in _list_rows(value))
        if head.members:
            return {"track", "artist"} <= head.members and not head.members.isdisjoint(("uts", "nowplaying"))
        return find_columns(head.cells) is not None

    def describe(self, head: FileHead) -> str | None:  # noqa: ARG002  # of these tools no other files are known
        """Nothing: the tools write no other files."""
        return None

    def read(self, file: RowFile, *, user_id: str, now: datetime) -> Iterator[HistoryRows]:
        """The scrobbles of one file.

        Rows with an equal natural key have one event_id. Rows that are known to the minute have one each, by their ordinal in the file,
        except those of a page that was read twice. A file without a row is broken, and one with the error of a hidden profile.
        """
        head = FileHead(file.name, file.file.read_head())
        parts = self._read_csv(file, find_columns(head.cells)) if head.cells else _read_json(file)
        seen: Counter[str] = Counter()
        is_empty = True
        for part in parts:
            is_empty = is_empty and not part.scrobbles and not part.refused
            yield _read_part(part, user_id, now, seen)
        if is_empty:
            raise BrokenFile(file.name, "has no scrobbles")

    def _read_csv(self, file: RowFile, columns: Columns | None) -> Iterator[_Part]:
        columns = columns or Columns(3, 0, 2, 1)
        hashes = [hash(tuple(cells)) for batch in RowFile(file.file).read_csv() for cells in batch if isinstance(cells, list)]
        doubled = find_doubled_rows(hashes[columns.has_header :])
        notes = tuple(
            f"{file.name}: rows {start + 1:,} to {end:,} repeat earlier rows in the same order, probably a page read twice: duplicates"
            for start, end in find_runs(doubled)
        )
        skip, number = columns.has_header, 0
        for batch in file.read_csv():
            part = _Part([], [row for row in batch if isinstance(row, RefusedRow)], notes)
            notes = ()
            for cells in (cells for cells in batch if isinstance(cells, list)):
                if skip:
                    skip = False
                    continue
                part.scrobbles.append(_read_cells(cells, columns, is_doubled=bool(doubled[number])))
                number += 1
            yield part


@dataclass(frozen=True)
class _Part:
    scrobbles: list[Scrobble]
    refused: list[RefusedRow]
    notes: tuple[str, ...] = ()


def _read_cells(cells: list[str], columns: Columns, *, is_doubled: bool) -> Scrobble:
    artist, title, album = (get_cell(cells, place) or None for place in (columns.artist, columns.title, columns.album))
    time = columns.find_time(cells)
    row = columns.name_cells(cells)
    rest = {name: cell for name, cell in row.items() if name not in columns.mapped} if columns.has_header else {}
    return Scrobble(time, artist, title, album, row, rest, is_doubled, None if time else "no_date")


def _read_json(file: RowFile) -> Iterator[_Part]:
    error = None
    for values in file.read_json():
        part = _Part([], [])
        for row in (row for value in values for row in _list_rows(value)):
            if isinstance(row, RefusedRow):
                part.refused.append(row)
            elif isinstance(row, dict) and "error" in row:
                error = error or (row if str(row["error"]) == _HIDDEN_PROFILE else None)
                part.refused.append(RefusedRow("error_page", row))
            elif isinstance(row, dict) and ("artist" in row or _find_title(row)):
                part.scrobbles.append(_read_object(row))
            else:
                part.refused.append(RefusedRow("unknown_shape", row if isinstance(row, dict) else {"value": row}))
        yield part
    if error:
        raise BrokenFile(file.name, f"Last.fm error {_HIDDEN_PROFILE}: the profile hides its listening; the other rows are imported")


def _list_rows(value: object) -> Sequence[Any]:
    """The scrobbles in a value: a page (its `track` a list or one object), a wrapper around pages or a list, or the scrobble itself."""
    if isinstance(value, dict):
        for name in ("recenttracks", "scrobbles"):
            if isinstance(value.get(name), (dict, list)):
                return _list_rows(value[name])
        track = value.get("track")
        if isinstance(track, (dict, list)):
            return track if isinstance(track, list) else [track]
    return list_rows(value, _is_scrobble)


def _is_scrobble(row: object) -> bool:
    if not isinstance(row, dict) or not _find_title(row) or "artist" not in row:
        return False
    return any(name in row for name in _TIME_FIELDS) or _is_now_playing(row)


def _is_now_playing(row: dict[str, Any]) -> bool:
    attributes = row.get("@attr")
    return isinstance(attributes, dict) and str(attributes.get("nowplaying")).casefold() == "true"


def _find_title(row: dict[str, Any]) -> str | None:
    return next((value for name in ("name", "track", "title") if isinstance(value := row.get(name), str) and value), None)


def _read_object(row: dict[str, Any]) -> Scrobble:
    time = next((row[name] for name in _TIME_FIELDS if row.get(name)), None)
    if isinstance(time, dict):
        time = time.get("uts") or time.get("#text")
    rest = {name: value for name, value in row.items() if name not in _MAPPED}
    reason = "now_playing" if _is_now_playing(row) else None if time else "no_date"
    return Scrobble(time, _read_name(row.get("artist")), _find_title(row), _read_name(row.get("album")), row, rest, reason=reason)


def _read_name(value: object) -> str | None:
    """A name as text or as an object of the API; null if empty."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("#text", "name", "title") if value.get(name)), None)
    return value if isinstance(value, str) and value else None


def _read_part(part: _Part, user_id: str, now: datetime, seen: Counter[str]) -> HistoryRows:
    times, is_minute = read_times([scrobble.time for scrobble in part.scrobbles])
    named = np.array([bool(scrobble.artist and scrobble.title) for scrobble in part.scrobbles], bool)
    found = find_refusal_reasons(named, np.zeros(len(named), np.int64), times, now, time_reason="bad_date")
    reasons = [scrobble.reason or reason for scrobble, reason in zip(part.scrobbles, found, strict=True)]
    refused = [RefusedRow(reason, one.row) for one, reason in zip(part.scrobbles, reasons, strict=True) if reason]
    kept = [number for number, reason in enumerate(reasons) if reason is None]
    if not kept:
        return HistoryRows(_NO_ROWS.events, (*part.refused, *refused), part.notes)
    scrobbles, minutes = [part.scrobbles[number] for number in kept], is_minute[kept]
    artists, titles = [one.artist for one in scrobbles], [one.title for one in scrobbles]
    keys = make_scrobble_keys(user_id, times[kept], artists, titles)
    keys = [_number(key, one, seen) if minute else key for key, one, minute in zip(keys, scrobbles, minutes.tolist(), strict=True)]
    exact, coarse = format_source_refs(SOURCE, times[kept]), format_source_refs(f"{SOURCE}_{_MINUTE}", times[kept])
    refs = [to_minute if minute else ref for ref, to_minute, minute in zip(exact, coarse, minutes.tolist(), strict=True)]
    columns = {
        "event_id": make_event_ids(SOURCE, keys),
        "event_type": "play",
        "schema_version": SCHEMA_VERSION,
        "user_id": user_id,
        "played_at": times[kept],
        "played_at_basis": "reported",
        "track_name": titles,
        "artist_name": artists,
        "album_name": [one.album for one in scrobbles],
        "source": SOURCE,
        "source_ref": number_twins(refs, zip(artists, titles, strict=True), keys),
        "extra": [_collect_extra(one, is_minute=minute) for one, minute in zip(scrobbles, minutes.tolist(), strict=True)],
    }
    return HistoryRows(build_events(columns, len(kept)), (*part.refused, *refused), part.notes)


def _number(key: str, scrobble: Scrobble, seen: Counter[str]) -> str:
    """The key with its ordinal among the equal rows of the file; a row that was read twice has that of the first."""
    ordinal = 0 if scrobble.is_doubled else seen[key]
    seen[key] += not scrobble.is_doubled
    return orjson.dumps((orjson.Fragment(key), ordinal)).decode()


def _collect_extra(scrobble: Scrobble, *, is_minute: bool) -> str | None:
    rest = {name: value for name, value in scrobble.extra.items() if value not in (None, "")}
    if is_minute:
        rest["played_at_precision"] = _MINUTE
    return write_extra(rest)
