"""Rows of the extended form: one play each, with ids, reasons, platform and country."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from soundlake.contract.ids import make_event_ids
from soundlake.contract.record import SCHEMA_VERSION
from soundlake.history.device_types import name_device
from soundlake.history.models import SOURCE, Reading
from soundlake.history.personal_fields import is_personal
from soundlake.history.play_columns import (
    Row,
    Times,
    build_events,
    format_ends,
    judge_plays,
    name_bases,
    parse_times,
    start_times,
    take_booleans,
    take_milliseconds,
    take_texts,
    write_extra,
)


class Kind(NamedTuple):
    """Which fields name a thing that can be played."""

    content_type: str
    name: str
    by: str
    uri: str


class Named(NamedTuple):
    """What a row says was played: `key` is the uri or else the names, as the natural key of the play has it."""

    kind: Kind
    key: str
    name: str | None
    by: str | None
    uri: str | None


_KINDS = (  # the first that a row names is what was played
    Kind("track", "master_metadata_track_name", "master_metadata_album_artist_name", "spotify_track_uri"),
    Kind("episode", "episode_name", "episode_show_name", "spotify_episode_uri"),
    Kind("chapter", "audiobook_chapter_title", "audiobook_title", "audiobook_chapter_uri"),
)
_ALBUM = "master_metadata_album_album_name"
_UNKNOWN_COUNTRY = "ZZ"
_OLD_TS = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC", re.ASCII)
_ID = re.compile(r"spotify:(?:track|episode|chapter):([0-9A-Za-z]+)")
_MAPPED: dict[str, tuple[type, ...]] = {
    "ts": (str,), "ms_played": (int, float), "platform": (str,), "conn_country": (str,), "reason_start": (str,), "reason_end": (str,),
    "shuffle": (bool,), "skipped": (bool,), "offline": (bool,), "incognito_mode": (bool,),
}  # fmt: skip
_MAPPED_OF_KIND = {kind: _MAPPED | dict.fromkeys((kind.name, kind.by, kind.uri), (str,)) for kind in _KINDS}
_MAPPED_OF_KIND[_KINDS[0]][_ALBUM] = (str,)


def read_extended(rows: Sequence[Row], *, user_id: str, now: datetime) -> Reading:
    """Judge each row, and make the plays of those that are not refused."""
    named = [name_played(row) for row in rows]
    ms_played = take_milliseconds(rows, "ms_played")
    ends = parse_times([_write_ts(row["ts"]) for row in rows])
    reasons = judge_plays(np.array([one is not None for one in named], bool), ms_played, ends, now, time_reason="bad_ts")
    kept = [number for number, reason in enumerate(reasons) if reason is None]
    played = [one for number in kept if (one := named[number]) is not None]
    return Reading(reasons, _build([rows[number] for number in kept], played, ms_played[kept], ends[kept], user_id))


def _write_ts(ts: object) -> object:
    """The time as newer exports write it: those of 2018 and 2019 have '2019-05-30 13:42:29 UTC', and one play is one play."""
    match = _OLD_TS.fullmatch(ts) if isinstance(ts, str) else None
    return f"{match[1]}T{match[2]}Z" if match else ts


def name_played(row: Row) -> Named | None:
    """What the row names: a track, else an episode, else a chapter, by uri or by both its names; None if nothing."""
    for kind in _KINDS:
        name, by, uri = (value if type(value := row.get(field)) is str and value else None for field in kind[1:])
        if uri or (name and by):
            return Named(kind, uri or f"{by}\t{name}", name, by, uri)
    return None


def _build(rows: list[Row], played: list[Named], ms_played: npt.NDArray[np.int64], ends: Times, user_id: str) -> pa.Table:
    refs = format_ends("extended", ends)
    reason_start, reason_end = take_texts(rows, "reason_start"), take_texts(rows, "reason_end")
    keys = zip(
        [_write_ts(row["ts"]) for row in rows], [one.key for one in played], ms_played.tolist(), reason_start, reason_end, strict=True
    )
    platforms = take_texts(rows, "platform")
    track_ids = [_read_id(one) for one in played]
    albums = take_texts(rows, _ALBUM)
    started = start_times(ends, ms_played)
    columns = {
        "event_id": make_event_ids(SOURCE, (orjson.dumps((user_id, *key)).decode() for key in keys)),
        "event_type": "play",
        "schema_version": SCHEMA_VERSION,
        "user_id": user_id,
        "played_at": started,
        "played_at_basis": name_bases(ends, started, ms_played),
        "content_type": [one.kind.content_type for one in played],
        "track_id": track_ids,
        "track_name": [one.name for one in played],
        "artist_name": [one.by for one in played],
        "album_name": [album if one.kind is _KINDS[0] else None for album, one in zip(albums, played, strict=True)],
        "ms_played": ms_played,
        "reason_start": reason_start,
        "reason_end": reason_end,
        "is_skipped": take_booleans(rows, "skipped"),
        "is_shuffle": take_booleans(rows, "shuffle"),
        "is_offline": take_booleans(rows, "offline"),
        "is_private": take_booleans(rows, "incognito_mode"),
        "device_type": [name_device(platform) for platform in platforms],
        "platform": platforms,
        "country": [None if country == _UNKNOWN_COUNTRY else country for country in take_texts(rows, "conn_country")],
        "source": SOURCE,
        "source_ref": refs,
        "extra": [_keep_rest(*told) for told in zip(rows, played, track_ids, refs, strict=True)],
    }
    return build_events(columns, len(rows))


def _read_id(one: Named) -> str | None:
    """The id out of the uri; a local file has none, but where nothing else names what was played, its uri must do."""
    match = _ID.fullmatch(one.uri) if one.uri else None
    return match[1] if match else (None if one.name and one.by else one.uri)


def _keep_rest(row: Row, one: Named, track_id: str | None, ref: str) -> str | None:
    """What no field of the contract holds, as JSON: unknown fields, values of an unexpected type, a uri or time not in the usual form."""
    mapped = _MAPPED_OF_KIND[one.kind]
    rest = {name: value for name, value in row.items() if value is not None and type(value) not in mapped.get(name, ())}
    rest = {name: value for name, value in rest.items() if not is_personal(name)}
    if not rest.get("offline_timestamp"):
        rest.pop("offline_timestamp", None)  # 0 says that it is missing
    if one.uri and track_id is None:
        rest[one.kind.uri] = one.uri
    if not ref.endswith(row["ts"]):
        rest["ts"] = row["ts"]
    return write_extra(rest)
