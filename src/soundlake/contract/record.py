"""The fields of an event and of a bronze row. All schemas are derived from these lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "integer", "boolean", "timestamp", "json"]
PlayValue = Literal["best", "best_time", "kept", "none"]
"""Where silver_plays takes the value of a field from when several events are observations of one play.

`best`: the best observation that knows the field; `best_time`: the observation with the best basis of played_at; `kept`: the observation
whose event_id the play has; `none`: silver_plays does not have the field.
"""

SCHEMA_VERSION = 1
EVENT_TYPES = ("play", "skip", "like", "playlist", "now_playing")
SOURCES = ("generator", "spotify_recent", "spotify_live", "spotify_export", "listenbrainz", "lastfm", "api")
SPOTIFY_API_SOURCES = ("spotify_live", "spotify_recent")
"""The sources that are Spotify's Web API: its terms ask to delete what came from it when an account leaves, and forbid to train on it."""
PLAYED_AT_BASES = ("measured", "derived_from_end", "reported")
CONTENT_TYPES = ("track", "episode", "chapter")
GENERATED_ID_PREFIX = "sl_"
"""Prefix of the ids of generated tracks, artists, albums and playlists. No Spotify id has an underscore; these get no link."""


@dataclass(frozen=True)
class Field:
    """One field of an event or of a bronze row: its name (with the unit), kind and meaning.

    `required`: null in no event. `set_by_topic`: a producer may leave it out on a topic with one event type. `values`: the known values.
    """

    name: str
    kind: Kind
    group: str
    description: str
    required: bool = False
    set_by_topic: bool = False
    values: tuple[str, ...] = ()
    play_value: PlayValue = "best"


FIELDS: tuple[Field, ...] = (
    Field("event_id", "text", "identity", "UUID in lower case; the same id is the same event", required=True, play_value="kept"),
    Field("event_type", "text", "identity", "what happened", required=True, set_by_topic=True, values=EVENT_TYPES, play_value="none"),
    Field("schema_version", "integer", "identity", "version of this contract that the producer wrote", play_value="none"),
    Field("user_id", "text", "who, when", "the listener; key of the record in the log", play_value="kept"),
    Field("played_at", "timestamp", "who, when", "UTC, when it happened; for a play, its start", required=True, play_value="best_time"),
    Field(
        "played_at_basis",
        "text",
        "who, when",
        "origin of played_at: measured; derived_from_end (the source gave the end); reported (the source does not say which end)",
        values=PLAYED_AT_BASES,
        play_value="best_time",
    ),
    Field("session_id", "text", "who, when", "listening session, if the source knows it"),
    Field("content_type", "text", "what", "track, episode or chapter; null if the source does not say", values=CONTENT_TYPES),
    Field("track_id", "text", "what", "id of the track (episode, chapter) at its source"),
    Field("track_name", "text", "what", "title of the track (episode, chapter)"),
    Field("artist_id", "text", "what", "id of the first artist at its source"),
    Field("artist_name", "text", "what", "name of the artist (show, book)"),
    Field("album_id", "text", "what", "id of the album at its source"),
    Field("album_name", "text", "what", "title of the album"),
    Field("duration_ms", "integer", "what", "length of the track in milliseconds"),
    Field("ms_played", "integer", "how", "plays: milliseconds heard"),
    Field("position_ms", "integer", "how", "skips: position in the track at the skip, in milliseconds", play_value="none"),
    Field("action", "text", "how", "likes: like, unlike; playlists: create, add, remove", play_value="none"),
    Field("playlist_id", "text", "how", "playlists: id of the playlist", play_value="none"),
    Field("playlist_name", "text", "how", "playlists: title of the playlist", play_value="none"),
    Field("reason_start", "text", "how", "plays: reason of the start (clickrow, trackdone, fwdbtn, …)"),
    Field("reason_end", "text", "how", "plays: reason of the end (trackdone, fwdbtn, endplay, …)"),
    Field("is_skipped", "boolean", "how", "plays: skipped before the end"),
    Field("is_shuffle", "boolean", "how", "plays: shuffle was on"),
    Field("is_offline", "boolean", "how", "plays: played offline"),
    Field("is_private", "boolean", "how", "plays: played in a private session"),
    Field("context_uri", "text", "how", "context of the playback: album, playlist, artist, search"),
    Field("device_type", "text", "where", "desktop, mobile, tablet, speaker, tv, car, web, …"),
    Field("platform", "text", "where", "operating system or device, in the words of the source"),
    Field("country", "text", "where", "ISO 3166-1 alpha-2 code"),
    Field("source", "text", "origin", "system that the event comes from", values=SOURCES, play_value="kept"),
    Field("source_ref", "text", "origin", "row, request or play in that system; for a skip, its play", play_value="kept"),
    Field("produced_at", "timestamp", "origin", "UTC, when the producer sent it", play_value="kept"),
    Field("extra", "json", "unknown", "fields that the contract does not know, as one JSON object", play_value="none"),
)

BRONZE_FIELDS: tuple[Field, ...] = (
    Field("_broker", "text", "bronze", "id of the event log", required=True),
    Field("_topic", "text", "bronze", "topic it was read from", required=True),
    Field("_partition", "integer", "bronze", "partition it was read from", required=True),
    Field("_offset", "integer", "bronze", "offset in that partition", required=True),
    Field("_ingested_at", "timestamp", "bronze", "UTC, when the sink wrote the batch", required=True),
    Field("_batch", "integer", "bronze", "number of the commit in this table, growing by one", required=True),
)

FIELD_NAMES: tuple[str, ...] = tuple(field.name for field in FIELDS)
FIELD_BY_NAME: dict[str, Field] = {field.name: field for field in FIELDS}
