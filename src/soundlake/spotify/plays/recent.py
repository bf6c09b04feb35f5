"""Events from the list of recently played tracks, and the gaps that its limit of 50 leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
from msgspec import Struct

from soundlake.contract import SCHEMA_VERSION, make_event_ids
from soundlake.spotify.models import RecentItem, RecentPage
from soundlake.spotify.plays.events import build_table, describe_song_fields
from soundlake.spotify.plays.instants import read_ms, write_ms
from soundlake.spotify.plays.songs import Song, describe_song

SOURCE = "spotify_recent"
FULL_PAGE = 50
"""The list has the 50 newest entries; paging further gives nothing (spotify/web-api#1405)."""
_REMEMBERED = 500


class RecentState(Struct, omit_defaults=True):
    """What was stored of an account: the ids of its newest events, the newest last, and the newest stamp (ms since 1970)."""

    event_ids: list[str] = []
    newest_ms: int | None = None


@dataclass(frozen=True)
class Gap:
    """Between two stamps (ms since 1970) more may have been played than the list shows."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True)
class RecentPlay:
    """An entry of the list. The stamp is the start, the end, or the end with a pause in it (spotify/web-api#1083): nobody can say."""

    event_id: str
    song: Song
    played_at_ms: int
    context_uri: str | None


@dataclass(frozen=True)
class Fetched:
    """What an answer adds: entries that were not stored, the oldest first; a gap before them; entries that cannot be read."""

    plays: tuple[RecentPlay, ...]
    gap: Gap | None
    unreadable: int


def take_page(account: str, state: RecentState, page: RecentPage) -> Fetched:
    """Compare a page with what is stored, and note in `state` that it is stored now.

    An entry is recognised by account, track and stamp; tracks that were heard offline arrive late, so each page is compared as a whole.
    """
    listed = sorted(_read_items(account, page.items), key=lambda play: play.played_at_ms)
    plays = {play.event_id: play for play in listed}
    gap = find_gap(state, page, plays)
    stored = set(state.event_ids)
    new = tuple(play for play in plays.values() if play.event_id not in stored)
    state.event_ids = [*state.event_ids, *(play.event_id for play in new)][-_REMEMBERED:]
    stamps = [play.played_at_ms for play in new] + ([] if state.newest_ms is None else [state.newest_ms])
    state.newest_ms = max(stamps, default=None)
    return Fetched(new, gap, page.unreadable)


def find_gap(state: RecentState, page: RecentPage, plays: dict[str, RecentPlay]) -> Gap | None:
    """A full page that shares nothing with what is stored leaves a gap (M04); an empty or a shorter one does not."""
    if page.entries < FULL_PAGE or not plays or state.newest_ms is None or not plays.keys().isdisjoint(state.event_ids):
        return None
    oldest_ms = min(play.played_at_ms for play in plays.values())
    return Gap(state.newest_ms, oldest_ms) if oldest_ms > state.newest_ms else None


def make_recent_events(user_id: str, plays: Sequence[RecentPlay]) -> pa.Table:
    """A table of plays; how long they were heard is not known, and is not the length of the track."""
    return build_table([_describe(user_id, play) for play in plays])


def _read_items(account: str, items: Sequence[RecentItem]) -> list[RecentPlay]:
    """Entries with their ids: UUIDv5 of account, track and stamp, so that the same entry is the same event whenever it is fetched."""
    found = [(describe_song(item.track), write_ms(item.played_at), item.context.uri if item.context else None) for item in items]
    keys = [orjson.dumps([account, song.key, played_at_ms]).decode() for song, played_at_ms, _ in found]
    ids = make_event_ids(SOURCE, keys).tolist()
    return [RecentPlay(event_id, *entry) for event_id, entry in zip(ids, found, strict=True)]


def _describe(user_id: str, play: RecentPlay) -> dict[str, Any]:
    return {
        "event_id": play.event_id, "event_type": "play", "schema_version": SCHEMA_VERSION, "user_id": user_id, "source": SOURCE,
        "played_at": read_ms(play.played_at_ms), "played_at_basis": "reported", "source_ref": play.song.uri,
        "context_uri": play.context_uri, "extra": orjson.dumps({"isrc": play.song.isrc}).decode() if play.song.isrc else None,
        **describe_song_fields(play.song),
    }  # fmt: skip
