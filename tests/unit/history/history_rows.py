"""Rows of made-up exports, for the tests of the readers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from soundlake.history import HistoryRows, read_spotify_export

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


def read(rows: Sequence[Any], *, user_id: str = "anna") -> HistoryRows:
    return read_spotify_export("endsong_0.json", json.dumps(rows).encode(), user_id=user_id, now=NOW)


def read_one(row: Any) -> dict[str, Any]:
    result = read([row])
    assert not result.refused
    (event,) = result.events.to_pylist()
    return event
