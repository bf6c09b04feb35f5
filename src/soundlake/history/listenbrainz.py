"""Read ListenBrainz exports: listens as JSON lines (a folder a year, a file a month), the older single array, and saved API answers.

A listen has `listened_at` (seconds since 1970, the start of listening) and `track_metadata`. How long it was heard is not known, the
length of the song only where the player sent it. Source: https://listenbrainz.readthedocs.io/en/latest/users/json.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from soundlake.contract.ids import make_event_ids
from soundlake.contract.record import SCHEMA_VERSION
from soundlake.history.file_head import FileHead
from soundlake.history.models import BrokenFile, HistoryRows, RefusedRow
from soundlake.history.nested_rows import list_rows
from soundlake.history.personal_fields import strip_personal
from soundlake.history.play_columns import (
    Row,
    Times,
    build_events,
    find_refusal_reasons,
    find_spotify_id,
    format_source_refs,
    parse_times,
    read_number,
    read_texts,
    write_extra,
)
from soundlake.history.row_files import RowFile
from soundlake.history.scrobbles import make_scrobble_keys
from soundlake.history.twin_rows import number_twins

SOURCE = "listenbrainz"
_MS_PER_SECOND = 1000
_LONGEST = 2**40
_MAPPED = ("listened_at", "track_metadata")
_MAPPED_OF_TRACK = ("track_name", "artist_name", "release_name", "additional_info")
_MAPPED_OF_INFO = ("duration_ms", "duration")
_OTHERS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"recording_msid", "score"}), "likes and dislikes"),
    (frozenset({"recording_mbid", "score"}), "likes and dislikes"),
    (frozenset({"pinned_until"}), "pinned songs"),
    (frozenset({"user_id", "username"}), "the account's name"),
)


class ListenBrainz:
    """Reads what ListenBrainz exports."""

    source = SOURCE
    title = "ListenBrainz export"

    def recognises(self, head: FileHead) -> bool:
        """A listen; where no row is whole, its fields."""
        if head.values:
            return any(_is_listen(row) for value in head.values for row in _list_rows(value))
        return {"listened_at", "track_metadata"} <= head.members

    def describe(self, head: FileHead) -> str | None:
        """The other files of an export."""
        for fields, what in _OTHERS:
            if fields <= head.members:
                return f"{what} (ListenBrainz), no listens"
        return None

    def read(self, file: RowFile, *, user_id: str, now: datetime) -> Iterator[HistoryRows]:
        """The listens of one file. Rows with an equal natural key have one event_id. A file without a row is broken."""
        is_empty = True
        for values in file.read_json():
            rows, refused = [], []
            for row in (row for value in values for row in _list_rows(value)):
                if isinstance(row, RefusedRow):
                    refused.append(row)
                elif _is_listen(row):
                    rows.append(row)
                else:
                    refused.append(RefusedRow("unknown_shape", strip_personal(row) if isinstance(row, dict) else {"value": row}))
            is_empty = is_empty and not rows and not refused
            yield _read_rows(rows, refused, user_id, now)
        if is_empty:
            raise BrokenFile(file.name, "has no listens")


def _list_rows(value: object) -> Sequence[Any]:
    """The listens in a saved answer of the API, in lists and objects around them; else the value itself."""
    if isinstance(value, dict) and "track_metadata" not in value:
        inner = value.get("payload", value)
        listens = inner.get("listens") if isinstance(inner, dict) else None
        if isinstance(listens, list):
            return listens
    return list_rows(value, _is_listen)


def _is_listen(row: object) -> bool:
    return isinstance(row, dict) and "track_metadata" in row and ("listened_at" in row or "playing_now" in row)


def _read_rows(rows: Sequence[Row], refused: list[RefusedRow], user_id: str, now: datetime) -> HistoryRows:
    tracks = [_get_object(row, "track_metadata") for row in rows]
    times = parse_times([row.get("listened_at") for row in rows])
    titles, artists = read_texts(tracks, "track_name"), read_texts(tracks, "artist_name")
    named = np.array([bool(title and artist) for title, artist in zip(titles, artists, strict=True)], bool)
    reasons = find_refusal_reasons(named, np.zeros(len(rows), np.int64), times, now, time_reason="bad_listened_at")
    reasons = ["now_playing" if row.get("playing_now") is True else reason for row, reason in zip(rows, reasons, strict=True)]
    refused += [RefusedRow(reason, strip_personal(row)) for row, reason in zip(rows, reasons, strict=True) if reason]
    kept = [number for number, reason in enumerate(reasons) if reason is None]
    events = _build([rows[number] for number in kept], [tracks[number] for number in kept], times[kept], user_id)
    return HistoryRows(events, tuple(refused))


def _build(rows: Sequence[Row], tracks: Sequence[Row], times: Times, user_id: str) -> pa.Table:
    infos = [_get_object(track, "additional_info") for track in tracks]
    titles, artists = read_texts(tracks, "track_name"), read_texts(tracks, "artist_name")
    keys = make_scrobble_keys(user_id, times, artists, titles, read_texts(infos, "recording_mbid"))
    looks = zip(artists, titles, strict=True)
    columns = {
        "event_id": make_event_ids(SOURCE, keys),
        "event_type": "play",
        "schema_version": SCHEMA_VERSION,
        "user_id": user_id,
        "played_at": times,
        "played_at_basis": "reported",
        "track_id": [_find_track_id(info) for info in infos],
        "track_name": titles,
        "artist_name": artists,
        "album_name": read_texts(tracks, "release_name"),
        "duration_ms": _read_durations(infos),
        "source": SOURCE,
        "source_ref": number_twins(format_source_refs(SOURCE, times), looks, keys),
        "extra": [_collect_extra(*parts) for parts in zip(rows, tracks, infos, strict=True)],
    }
    return build_events(columns, len(rows))


def _get_object(row: Row, name: str) -> Row:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _find_track_id(info: Row) -> str | None:
    return next((found for name in ("spotify_id", "origin_url", "spotify_uri") if (found := find_spotify_id(info.get(name)))), None)


def _read_durations(infos: Sequence[Row]) -> pa.Array:
    """Milliseconds, null where unknown."""
    return pa.array(
        [_read_length(info.get("duration_ms"), 1) or _read_length(info.get("duration"), _MS_PER_SECOND) for info in infos], pa.int64()
    )


def _read_length(value: object, ms: int) -> int | None:
    """The length of a song in milliseconds, `ms` to the unit; players also send fractions and text."""
    number = read_number(value) if isinstance(value, str) else value
    is_length = type(number) in (int, float) and 0 < number < _LONGEST  # type: ignore[operator]
    return round(number * ms) if is_length else None  # type: ignore[operator]


def _collect_extra(row: Row, track: Row, info: Row) -> str | None:
    """What the contract has no field for, as JSON: ids of MusicBrainz, players, tags."""
    rest = {name: value for name, value in strip_personal(row).items() if name not in _MAPPED and _is_known(value)}
    rest |= {name: value for name, value in track.items() if name not in _MAPPED_OF_TRACK and _is_known(value)}
    kept = {name: value for name, value in strip_personal(info).items() if name not in _MAPPED_OF_INFO and _is_known(value)}
    return write_extra(rest | ({"additional_info": kept} if kept else {}))


def _is_known(value: object) -> bool:
    return value is not None and value not in ("", [], {})
