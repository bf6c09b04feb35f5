"""What the simulated listeners really played: as rows of an export, as the true play of each event, and against silver."""

from __future__ import annotations

import bisect
import json
import random
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import duckdb
import numpy as np
import pyarrow as pa

from soundlake.generator.output.views.view import IDENTITY_SCHEMA
from soundlake.history import READERS, RowFile, find_history
from soundlake.spotify.fake import FakeSpotify
from soundlake.spotify.fake.clock import from_ms
from soundlake.spotify.fake.timeline import Listing, TruePlay

ROWS_SCHEMA = pa.schema([pa.field("view", pa.string()), *IDENTITY_SCHEMA, pa.field("faults", pa.string())])
_NEAR_MS, _LATEST_MATCH_MS = 15_000, 60_000
_FLOOR_MS = 5_000
"""The shortest time between two polls: a shorter play that did not reach its end can lie between them."""
_NAMELESS, _LATE = 0.003, 0.1
"""Rows of removed tracks have a uri only; after a logout or an unexpected exit `ts` is the next start of the app."""


@dataclass
class Truth:
    """The plays by listener in the order of their starts, the entries of recently-played, and the time until which both are."""

    plays: dict[str, list[TruePlay]]
    listings: dict[tuple[str, str, int], Listing]
    until: datetime
    _songs: dict[tuple[str, str], list[TruePlay]] = field(default_factory=dict)

    @classmethod
    def of(cls, fake: FakeSpotify, now_ms: int) -> Self:
        """Of all accounts of a fake."""
        plays, listings = {}, {}
        for account in fake.accounts.values():
            listener = account.account_id
            plays[listener] = sorted(fake.list_plays(account.user_id), key=lambda play: play.start_ms)
            listings |= {(listener, one.track.id, one.played_at_ms): one for one in account.timeline.listings}
        truth = cls(plays, listings, from_ms(now_ms))
        for listener, of_listener in plays.items():
            for play in of_listener:
                truth._songs.setdefault((listener, play.track.name), []).append(play)
        return truth

    def as_table(self) -> pa.Table:
        """`event_id`, `played_at` and `ms_played` of each play."""
        plays = [(listener, play) for listener, of_listener in self.plays.items() for play in of_listener]
        return pa.table({
            "event_id": [name(listener, play) for listener, play in plays],
            "played_at": pa.array([play.start_ms * 1_000 for _, play in plays], pa.timestamp("us", "UTC")),
            "ms_played": [play.heard_ms + play.private_ms for _, play in plays],
        })  # fmt: skip

    def identify(self, events: pa.Table) -> pa.Table:
        """The true play of each event; one that shows none has a play of its own."""
        rows = []
        for event in events.to_pylist():
            play_id = self._find_listed(event) if event["source"] == "spotify_recent" else self._find_heard(event)
            rows.append({
                **{name: event[name] for name in ("user_id", "event_id", "source", "artist_name", "track_name", "track_id", "ms_played")},
                "view": event["source"], "play_id": play_id or event["event_id"], "stamp": event["played_at"].replace(tzinfo=None),
                "faults": "" if play_id else "invented",
            })  # fmt: skip
        return pa.Table.from_pylist(rows, ROWS_SCHEMA)

    def _find_listed(self, event: dict[str, Any]) -> str | None:
        stamp_ms = round(event["played_at"].timestamp() * 1_000)
        listing = self.listings.get((event["user_id"], event["track_id"], stamp_ms))
        return None if listing is None else f"{event['user_id']}/{listing.play}"

    def _find_heard(self, event: dict[str, Any]) -> str | None:
        """The play of the song that was heard then: the one that the event covers for the longest time, else then the nearest start."""
        started_ms = round(event["played_at"].timestamp() * 1_000)
        ended_ms = started_ms + event["ms_played"]
        near = [
            play
            for play in self._songs.get((event["user_id"], event["track_name"]), ())
            if play.start_ms - _NEAR_MS <= started_ms <= play.end_ms + _NEAR_MS or started_ms <= play.start_ms <= ended_ms
        ]

        def order(play: TruePlay) -> tuple[int, int]:
            covered = min(ended_ms, play.end_ms) - max(started_ms, play.start_ms)
            return -max(covered, 0), abs(play.start_ms - started_ms)

        found = min(near, key=order, default=None)
        return None if found is None else name(event["user_id"], found)


def name(listener: str, play: TruePlay) -> str:
    """The id of a true play."""
    return f"{listener}/{play.play}"


def write_export(truth: Truth, folder: Path, seed: int) -> pa.Table:
    """The extended export of each listener in a folder of its name, in the form of 2024; the true play of each row."""
    draw, rows = random.Random(seed), []
    for listener, plays in truth.plays.items():
        lines = []
        for number, play in enumerate(plays):
            following = plays[number + 1].start_ms if number + 1 < len(plays) else None
            line, row = _describe_row(listener, play, following, draw)
            lines.append(line)
            rows.append(row)
        (folder / listener).mkdir(parents=True)
        (folder / listener / "Streaming_History_Audio_2026_0.json").write_text(json.dumps(lines))
    return pa.Table.from_pylist(rows, ROWS_SCHEMA)


def _describe_row(listener: str, play: TruePlay, following_ms: int | None, draw: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row of the export, and what it shows."""
    track, is_episode = play.track, play.track.type == "episode"
    is_nameless, is_late = not is_episode and draw.random() < _NAMELESS, draw.random() < _LATE
    ends_ms = play.end_ms + draw.randrange(2_000)
    if play.reason_end in ("logout", "unexpected-exit-while-paused") and is_late and following_ms is not None:
        ends_ms = max(ends_ms, following_ms)
    if play.is_offline:
        ends_ms += draw.randrange(3_600_000)
    title, artist = (None, None) if is_nameless else (track.name, track.album_name if is_episode else track.artist_name)
    ts, heard_ms = from_ms(ends_ms).replace(microsecond=0), play.heard_ms + play.private_ms
    names = ("master_metadata_track_name", "master_metadata_album_artist_name", "master_metadata_album_album_name")
    shown = dict.fromkeys(names) if is_episode else dict(zip(names, (title, artist, title and track.album_name), strict=True))
    line = {
        "ts": f"{ts:%Y-%m-%dT%H:%M:%SZ}", "platform": play.device.type.lower(), "ms_played": heard_ms, "conn_country": "DE", **shown,
        "spotify_track_uri": None if is_episode else track.uri, "episode_name": title if is_episode else None,
        "episode_show_name": artist if is_episode else None, "spotify_episode_uri": track.uri if is_episode else None,
        "reason_start": "trackdone", "reason_end": play.reason_end, "shuffle": play.is_shuffle, "skipped": play.reason_end == "fwdbtn",
        "offline": play.is_offline, "offline_timestamp": play.start_ms // 1_000, "incognito_mode": play.private_ms > 0,
    }  # fmt: skip
    row = {
        "view": "spotify-export-2024", "play_id": name(listener, play), "user_id": listener, "source": "spotify_export",
        "stamp": ts.replace(tzinfo=None), "artist_name": artist, "track_name": title, "track_id": track.id, "ms_played": heard_ms,
        "faults": " ".join(["nameless"] * is_nameless + ["offline"] * play.is_offline + ["private"] * (play.private_ms > 0)),
    }  # fmt: skip
    return line, row


def read_export(folder: Path, now: datetime) -> pa.Table:
    """The events of the export, as the importer's readers give them."""
    parts = []
    with closing(find_history([folder], None, READERS)) as found:
        for file in found.files:
            later = now + timedelta(days=1)
            parts += [one.events for one in file.reader.read(RowFile(file.file, lambda _: None), user_id=file.user_id, now=later)]
    return pa.concat_tables(parts)


def compare_plays(truth: Truth, database: Path) -> dict[str, object]:
    """Precision and recall of silver_plays against the truth, and of how much time and start are off (ms: p50, p95, p99)."""
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        columns = "user_id, track_name, track_id, epoch_ms(played_at) as started_ms, ms_played, matched_sources"
        found = connection.sql(f"select {columns} from silver.silver_plays").fetchall()  # constants of this function
    true = [(listener, play) for listener, plays in truth.plays.items() for play in plays]
    pairs = _match(true, found)
    live = [(place, number) for place, number in pairs if "spotify_live" in found[number][5] and not true[place][1].private_ms]
    ms = np.array([abs((found[number][4] or 0) - true[place][1].heard_ms) for place, number in live])
    starts = np.array([abs(found[number][3] - true[place][1].start_ms) for place, number in live])
    by_spotify = {place for place, number in pairs if {"spotify_live", "spotify_recent"} & set(found[number][5].split(","))}
    public = {place for place, (_, play) in enumerate(true) if play.heard_ms and not play.is_offline}
    longer = {place for place in public if true[place][1].heard_ms >= _FLOOR_MS}
    return {
        "true_plays": len(true), "found": len(found), "precision": round(len(pairs) / len(found), 5),
        "recall": round(len(pairs) / len(true), 5), "live": len(live),
        "recall_without_export": round(len(public & by_spotify) / len(public), 5),
        "recall_without_export_from_5_s": round(len(longer & by_spotify) / len(longer), 5),
        "ms_played_p50_p95_p99": np.percentile(ms, [50, 95, 99]).round().tolist(),
        "start_p50_p95_p99": np.percentile(starts, [50, 95, 99]).round().tolist(),
    }  # fmt: skip


def _match(true: list[tuple[str, TruePlay]], found: list[tuple[Any, ...]]) -> list[tuple[int, int]]:
    """Pairs of places of one song (by title or id) of one listener, each in one pair, the nearest starts first."""
    by_song: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for number, (user, title, track_id, started_ms, *_) in enumerate(found):
        for song in {title, track_id} - {None}:
            by_song.setdefault((user, song), []).append((started_ms, number))
    for places in by_song.values():
        places.sort()
    near = []
    for place, (listener, play) in enumerate(true):
        for song in (play.track.name, play.track.id):
            places = by_song.get((listener, song), [])
            first = bisect.bisect_left(places, (play.start_ms - _LATEST_MATCH_MS, 0))
            while first < len(places) and places[first][0] <= play.end_ms + _LATEST_MATCH_MS:
                near.append((abs(places[first][0] - play.start_ms), place, places[first][1]))
                first += 1
    return choose_nearest(near)


def choose_nearest(near: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Pairs of places (of a true play, of a found one) from candidates (ms apart, place, place): the nearest first, each place once."""
    pairs: list[tuple[int, int]] = []
    taken_true: set[int] = set()
    taken_found: set[int] = set()
    for _, place, number in sorted(near):
        if place not in taken_true and number not in taken_found:
            pairs.append((place, number))
            taken_true.add(place)
            taken_found.add(number)
    return pairs
