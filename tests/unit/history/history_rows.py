"""Rows of made-up exports, for the tests of the readers."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from soundlake.history import READERS, HistoryReader, HistoryRows, RowFile, SpotifyExport
from soundlake.history.file_head import FileHead
from soundlake.history.source_files import SourceFile

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


def make_extended(**changes: Any) -> dict[str, Any]:
    return {
        "ts": "2024-02-29T23:59:30Z", "username": "somebody", "platform": "Android OS 12 API 32 (Google, Pixel 5a)", "ms_played": 60_000,
        "conn_country": "DE", "ip_addr": "192.0.2.7", "user_agent_decrypted": "unknown", "master_metadata_track_name": "Ode",
        "master_metadata_album_artist_name": "The Lanterns", "master_metadata_album_album_name": "Nights",
        "spotify_track_uri": "spotify:track:4asjU3sDnn3002bTJIg2vZ", "episode_name": None, "episode_show_name": None,
        "spotify_episode_uri": None, "reason_start": "clickrow", "reason_end": "trackdone", "shuffle": True, "skipped": None,
        "offline": False, "offline_timestamp": 1709251110123, "incognito_mode": False, **changes,
    }  # fmt: skip


def make_episode(**changes: Any) -> dict[str, Any]:
    track = ("master_metadata_track_name", "master_metadata_album_artist_name", "master_metadata_album_album_name", "spotify_track_uri")
    episode = {"episode_name": "One", "episode_show_name": "The Show", "spotify_episode_uri": "spotify:episode:27Wx3KFN0Bf6D5aatOQEAG"}
    return make_extended(**dict.fromkeys(track)) | episode | changes


def make_short(**changes: Any) -> dict[str, Any]:
    return {"endTime": "2024-03-01 00:01", "artistName": "The Lanterns", "trackName": "Ode", "msPlayed": 61_000, **changes}


def make_file(data: bytes, name: str = "endsong_0.json") -> RowFile:
    return RowFile(SourceFile(name, (), len(data), None, (name,), lambda: io.BytesIO(data)))


def read_bytes(data: bytes, reader: HistoryReader | None = None, *, user_id: str = "anna", name: str = "endsong_0.json") -> HistoryRows:
    """All parts of a file as one."""
    parts = list((reader or SpotifyExport()).read(make_file(data, name), user_id=user_id, now=NOW))
    return HistoryRows(
        pa.concat_tables(part.events for part in parts),
        tuple(row for part in parts for row in part.refused),
        tuple(note for part in parts for note in part.notes),
    )


def read(rows: Sequence[Any], *, user_id: str = "anna") -> HistoryRows:
    return read_bytes(json.dumps(rows).encode(), user_id=user_id)


def read_one(row: Any) -> dict[str, Any]:
    result = read([row])
    assert not result.refused
    (event,) = result.events.to_pylist()
    return event


def make_head(data: bytes | str, name: str = "file") -> FileHead:
    return FileHead(name, data.encode() if isinstance(data, str) else data)


def recognise(data: bytes | str, name: str = "file") -> str | None:
    """The source of the reader that recognises the file."""
    return next((reader.source for reader in READERS if reader.recognises(make_head(data, name))), None)
