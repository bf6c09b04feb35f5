"""Read rows of the extended form: plays with ids, reasons, platform and country."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from soundlake.contract.ids import make_event_ids
from soundlake.contract.record import SCHEMA_VERSION
from soundlake.history.device_types import find_device_type
from soundlake.history.models import SOURCE, FormRows
from soundlake.history.offline_time import find_starts, read_device_times
from soundlake.history.personal_fields import is_personal
from soundlake.history.play_columns import (
    Row,
    Times,
    build_events,
    find_refusal_reasons,
    format_instants,
    format_source_refs,
    normalize_text,
    parse_times,
    read_booleans,
    read_milliseconds,
    read_texts,
    write_extra,
)
from soundlake.history.twin_rows import number_repeats, number_twins


class ItemKind(NamedTuple):
    """The fields that name an item that can be played."""

    content_type: str
    name: str
    by: str
    uri: str


class PlayedItem(NamedTuple):
    """The item that a row names: `key` is its part of the play's natural key, the uri or else the names."""

    kind: ItemKind
    key: str
    name: str | None
    by: str | None
    uri: str | None


_KINDS = (  # in this order: the first that a row names was played
    ItemKind("track", "master_metadata_track_name", "master_metadata_album_artist_name", "spotify_track_uri"),
    ItemKind("episode", "episode_name", "episode_show_name", "spotify_episode_uri"),
    ItemKind("chapter", "audiobook_chapter_title", "audiobook_title", "audiobook_chapter_uri"),
)
_ALBUM = "master_metadata_album_album_name"
_UNKNOWN_COUNTRY = "ZZ"
_ID = re.compile(r"spotify:(?:track|episode|chapter):([0-9A-Za-z_]+)")
_MAPPED: dict[str, tuple[type, ...]] = {
    "ts": (str,), "ms_played": (int, float), "platform": (str,), "conn_country": (str,), "reason_start": (str,), "reason_end": (str,),
    "shuffle": (bool,), "skipped": (bool,), "offline": (bool,), "incognito_mode": (bool,),
}  # fmt: skip
_MAPPED_OF_KIND = {kind: _MAPPED | dict.fromkeys((kind.name, kind.by, kind.uri), (str,)) for kind in _KINDS}
_MAPPED_OF_KIND[_KINDS[0]][_ALBUM] = (str,)
_OTHER_FIELDS = frozenset({"ms_played", *(name for kind in _KINDS for name in kind[1:])})


def is_extended(names: Collection[str]) -> bool:
    """Whether a row with fields of these names is of the extended form."""
    return "ts" in names and not _OTHER_FIELDS.isdisjoint(names)


def read_extended(rows: Sequence[Row], *, user_id: str, now: datetime) -> FormRows:
    """Find the rows to refuse, and make plays of the others."""
    items = [find_played_item(row) for row in rows]
    ms_played = read_milliseconds(rows, "ms_played")
    ends = parse_times([row["ts"] for row in rows])
    reasons = find_refusal_reasons(np.array([item is not None for item in items], bool), ms_played, ends, now, time_reason="bad_ts")
    kept = [number for number, reason in enumerate(reasons) if reason is None]
    played = [item for number in kept if (item := items[number]) is not None]
    return FormRows(reasons, _build([rows[number] for number in kept], played, ms_played[kept], ends[kept], user_id))


def find_played_item(row: Row) -> PlayedItem | None:
    """The item that the row names: a track, else an episode, else a chapter, by uri or by both names; None if none."""
    for kind in _KINDS:
        name, by, uri = (value if type(value := row.get(field)) is str and value else None for field in kind[1:])
        if uri or (name and by):
            return PlayedItem(kind, normalize_text(uri) or f"{normalize_text(by)}\t{normalize_text(name)}", name, by, uri)
    return None


def _build(rows: list[Row], played: list[PlayedItem], ms_played: npt.NDArray[np.int64], ends: Times, user_id: str) -> pa.Table:
    refs = format_source_refs("extended", ends)
    noted = read_device_times([row.get("offline_timestamp") for row in rows])
    natural_keys, twin_keys = _make_keys(rows, played, ms_played, ends, noted)
    reason_end = read_texts(rows, "reason_end")
    looks = [(ms, (item.name or item.key).casefold()) for ms, item in zip(ms_played.tolist(), played, strict=True)]
    platforms = read_texts(rows, "platform")
    track_ids = [_read_id(item) for item in played]
    albums = read_texts(rows, _ALBUM)
    is_offline = read_booleans(rows, "offline")
    is_late = np.array(
        [bool(off) or (end or "").startswith("unexpected-exit") for off, end in zip(is_offline, reason_end, strict=True)], bool
    )
    started, bases = find_starts(ends, ms_played, noted, is_late)
    columns = {
        "event_id": make_event_ids(SOURCE, (orjson.dumps((user_id, *key)).decode() for key in natural_keys)),
        "event_type": "play",
        "schema_version": SCHEMA_VERSION,
        "user_id": user_id,
        "played_at": started,
        "played_at_basis": bases,
        "content_type": [item.kind.content_type for item in played],
        "track_id": track_ids,
        "track_name": [item.name for item in played],
        "artist_name": [item.by for item in played],
        "album_name": [album if item.kind is _KINDS[0] else None for album, item in zip(albums, played, strict=True)],
        "ms_played": ms_played,
        "reason_start": read_texts(rows, "reason_start"),
        "reason_end": reason_end,
        "is_skipped": read_booleans(rows, "skipped"),
        "is_shuffle": read_booleans(rows, "shuffle"),
        "is_offline": is_offline,
        "is_private": read_booleans(rows, "incognito_mode"),
        "device_type": [find_device_type(platform) for platform in platforms],
        "platform": platforms,
        "country": [None if country == _UNKNOWN_COUNTRY else country for country in read_texts(rows, "conn_country")],
        "source": SOURCE,
        "source_ref": number_twins(refs, looks, twin_keys),
        "extra": [_collect_extra(*row) for row in zip(rows, played, track_ids, refs, strict=True)],
    }
    return build_events(columns, len(rows))


def _make_keys(
    rows: list[Row], played: list[PlayedItem], ms_played: npt.NDArray[np.int64], ends: Times, noted: Times
) -> tuple[list[tuple[object, ...]], list[str]]:
    """The natural key of each row without the listener, and what orders rows of one moment, length and song in every download."""
    reason_start, reason_end = read_texts(rows, "reason_start"), read_texts(rows, "reason_end")
    facts = list(
        zip(
            format_instants(ends),
            [item.key for item in played],
            ms_played.tolist(),
            map(normalize_text, reason_start),
            map(normalize_text, reason_end),
            strict=True,
        )
    )
    repeats = number_repeats(facts, noted.astype("datetime64[s]").astype(np.int64).tolist())
    twin_keys = [
        "\t".join((start or "", end or "", item.key, *map(str, repeat)))
        for start, end, item, repeat in zip(reason_start, reason_end, played, repeats, strict=True)
    ]
    return [(*fact, *repeat) for fact, repeat in zip(facts, repeats, strict=True)], twin_keys


def _read_id(item: PlayedItem) -> str | None:
    """The id in the uri. A local file has none; if it has no names either, its uri is the id."""
    match = _ID.fullmatch(item.uri) if item.uri else None
    return match[1] if match else (None if item.name and item.by else item.uri)


def _collect_extra(row: Row, item: PlayedItem, track_id: str | None, ref: str) -> str | None:
    """What the contract has no field for, as JSON: unknown fields, values of another type, a uri or time in an unusual form."""
    mapped = _MAPPED_OF_KIND[item.kind]
    rest = {name: value for name, value in row.items() if value is not None and type(value) not in mapped.get(name, ())}
    rest = {name: value for name, value in rest.items() if not is_personal(name)}
    if not rest.get("offline_timestamp"):
        rest.pop("offline_timestamp", None)  # 0 means missing
    if item.uri and track_id is None:
        rest[item.kind.uri] = item.uri
    if not ref.endswith(f":{row['ts']}"):
        rest["ts"] = row["ts"]
    return write_extra(rest)
