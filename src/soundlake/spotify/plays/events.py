"""Events of the contract from what following an account gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from soundlake.contract import EVENT_SCHEMA, SCHEMA_VERSION
from soundlake.spotify.plays.instants import format_ms, read_ms
from soundlake.spotify.plays.outcomes import NowPlaying, Outcome, Play, Setting, Skip
from soundlake.spotify.plays.songs import Song
from soundlake.spotify.plays.tracker import SOURCE


def make_events(user_id: str, outcomes: Sequence[Outcome]) -> pa.Table:
    """A table of events, a row for each outcome, in their order; `produced_at` is left to the publisher."""
    rows = [{"user_id": user_id, "source": SOURCE, "schema_version": SCHEMA_VERSION, **_describe(outcome)} for outcome in outcomes]
    return build_table(rows)


def build_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table of the rows' fields, in the types of the contract; without the columns that are null in all rows."""
    names = [field.name for field in EVENT_SCHEMA if any(row.get(field.name) is not None for row in rows)]
    return pa.table({name: pa.array([row.get(name) for row in rows], EVENT_SCHEMA.field(name).type) for name in names})


def describe_song_fields(song: Song) -> dict[str, Any]:
    """The event's fields of a song."""
    return {
        "content_type": song.content_type, "track_id": song.id, "track_name": song.name, "artist_id": song.artist_id,
        "artist_name": song.artist_name, "album_id": song.album_id, "album_name": song.album_name, "duration_ms": song.duration_ms,
    }  # fmt: skip


def _describe(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Play():
            return _describe_play(outcome)
        case Skip():
            return _describe_skip(outcome)
        case NowPlaying():
            return _describe_now_playing(outcome)


def _describe_play(play: Play) -> dict[str, Any]:
    """`ended_at` lets the warehouse match stamps of other sources that fall between start and end."""
    extra = {"ended_at": format_ms(play.ended_ms)}
    extra |= {"isrc": play.song.isrc} if play.song.isrc else {}
    extra |= {} if play.is_measured else {"ms_played_basis": "clock"}
    return {
        "event_id": play.event_id, "event_type": "play", "played_at": read_ms(play.started_ms), "played_at_basis": "measured",
        "ms_played": play.ms_played, "is_skipped": play.is_skipped, "reason_start": play.reason_start, "reason_end": play.reason_end,
        "is_private": False, "source_ref": play.song.uri, "extra": orjson.dumps(extra).decode(),
        **describe_song_fields(play.song), **_describe_setting(play.setting),
    }  # fmt: skip


def _describe_skip(skip: Skip) -> dict[str, Any]:
    """A skip is the act: at the end of its play, which it names."""
    return {
        "event_id": skip.event_id, "event_type": "skip", "played_at": read_ms(skip.play.ended_ms), "played_at_basis": "measured",
        "position_ms": skip.position_ms, "source_ref": skip.play.event_id,
        **describe_song_fields(skip.play.song), **_describe_setting(skip.play.setting),
    }  # fmt: skip


def _describe_now_playing(now: NowPlaying) -> dict[str, Any]:
    return {
        "event_id": now.event_id, "event_type": "now_playing", "played_at": read_ms(now.started_ms), "played_at_basis": "measured",
        "source_ref": now.song.uri, **describe_song_fields(now.song), **_describe_setting(now.setting),
    }  # fmt: skip


def _describe_setting(setting: Setting) -> dict[str, Any]:
    return {
        "device_type": setting.device_type, "platform": setting.platform, "is_shuffle": setting.is_shuffle,
        "context_uri": setting.context_uri,
    }  # fmt: skip
