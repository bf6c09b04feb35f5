"""The one record: every field that an event can carry. All schemas are derived from this list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "integer", "boolean", "timestamp", "json"]

SCHEMA_VERSION = 1
EVENT_TYPES = ("play", "skip", "like", "playlist", "now_playing")
SOURCES = ("generator", "spotify_recent", "spotify_live", "spotify_export", "listenbrainz", "lastfm", "api")
PLAYED_AT_BASES = ("measured", "derived_from_end", "reported")
CONTENT_TYPES = ("track", "episode", "chapter")
GENERATED_ID_PREFIX = "sl_"
"""Ids of made-up tracks, artists, albums and playlists begin with it, and no Spotify id can (letters and digits): they get no link."""


@dataclass(frozen=True)
class Field:
    """One field of an event or of a bronze row: its name, kind and meaning (units in the name)."""

    name: str
    kind: Kind
    group: str
    description: str
    required: bool = False
    values: tuple[str, ...] = ()


FIELDS: tuple[Field, ...] = (
    Field("event_id", "text", "identity", "UUID in lower case; the same id is the same event", required=True),
    Field("event_type", "text", "identity", "what happened", required=True, values=EVENT_TYPES),
    Field("schema_version", "integer", "identity", "version of this record the producer wrote"),
    Field("user_id", "text", "who, when", "the listener; key of the record in the log"),
    Field("played_at", "timestamp", "who, when", "UTC, when it happened; of a play its start", required=True),
    Field(
        "played_at_basis",
        "text",
        "who, when",
        "how played_at is known: measured; derived_from_end (the source gave the end); reported (as the source says, start or end unknown)",
        values=PLAYED_AT_BASES,
    ),
    Field("session_id", "text", "who, when", "the sitting it belongs to, where the source knows it"),
    Field("content_type", "text", "what", "track, episode or chapter; null: the source does not say", values=CONTENT_TYPES),
    Field("track_id", "text", "what", "id of the track (episode, chapter) at its source"),
    Field("track_name", "text", "what", "title of the track (episode, chapter)"),
    Field("artist_id", "text", "what", "id of the first artist at its source"),
    Field("artist_name", "text", "what", "name of the artist (show, book)"),
    Field("album_id", "text", "what", "id of the album at its source"),
    Field("album_name", "text", "what", "title of the album"),
    Field("duration_ms", "integer", "what", "length of the track in milliseconds"),
    Field("ms_played", "integer", "how", "plays: milliseconds heard"),
    Field("position_ms", "integer", "how", "skips: where in the track it was skipped, in milliseconds"),
    Field("action", "text", "how", "likes: like, unlike; playlists: create, add, remove"),
    Field("playlist_id", "text", "how", "the playlist acted on"),
    Field("playlist_name", "text", "how", "title of that playlist"),
    Field("reason_start", "text", "how", "plays: why it began (clickrow, trackdone, fwdbtn, …)"),
    Field("reason_end", "text", "how", "plays: why it ended (trackdone, fwdbtn, endplay, …)"),
    Field("is_skipped", "boolean", "how", "plays: the listener went on before the end"),
    Field("is_shuffle", "boolean", "how", "plays: shuffle was on"),
    Field("is_offline", "boolean", "how", "plays: heard without a network"),
    Field("is_private", "boolean", "how", "plays: heard in a private session"),
    Field("context_uri", "text", "how", "what it was played from: album, playlist, artist, search"),
    Field("device_type", "text", "where", "desktop, mobile, tablet, speaker, tv, car, web, …"),
    Field("platform", "text", "where", "operating system or device, as the source says"),
    Field("country", "text", "where", "ISO 3166-1 alpha-2 code"),
    Field("source", "text", "origin", "where the event comes from", values=SOURCES),
    Field("source_ref", "text", "origin", "its row, request or play there; a skip names its play"),
    Field("produced_at", "timestamp", "origin", "UTC, when the producer sent it"),
    Field("extra", "json", "not ours", "fields that this version does not know, as one JSON object"),
)

BRONZE_FIELDS: tuple[Field, ...] = (
    Field("_broker", "text", "bronze", "id of the log itself", required=True),
    Field("_topic", "text", "bronze", "topic it was read from", required=True),
    Field("_partition", "integer", "bronze", "partition it was read from", required=True),
    Field("_offset", "integer", "bronze", "offset in that partition", required=True),
    Field("_ingested_at", "timestamp", "bronze", "UTC, when the sink wrote the batch", required=True),
    Field("_batch", "integer", "bronze", "number of the commit in this table, growing by one", required=True),
)

FIELD_NAMES: tuple[str, ...] = tuple(field.name for field in FIELDS)
FIELD_BY_NAME: dict[str, Field] = {field.name: field for field in FIELDS}
