"""Random listening, as observed by several sources. The warehouse must build the same tables from it in any order of arrival."""

from __future__ import annotations

import json
import random
import unicodedata
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from soundlake.contract import LIVE_TOPIC_OF_TYPE, REJECTED_TABLE

Event = dict[str, Any]
START = datetime(2026, 2, 27, 20, tzinfo=UTC)
SOURCES = (
    "extended", "old extended", "short", "live", "second live", "recent", "lastfm", "lastfm by the minute", "listenbrainz", "generator",
    "api",
)  # fmt: skip

NAMES = {
    "extended": "spotify_export", "old extended": "spotify_export", "short": "spotify_export", "live": "spotify_live",
    "second live": "spotify_live", "recent": "spotify_recent", "lastfm by the minute": "lastfm",
}  # fmt: skip
BASES = {
    "extended": "derived_from_end", "old extended": "derived_from_end", "short": "derived_from_end", "live": "measured",
    "second live": "measured",
}  # fmt: skip


class Listening:
    """Events of a few listeners, generated from a seed."""

    def __init__(self, seed: int, listeners: int = 12, plays: int = 14) -> None:
        self.random = random.Random(seed)
        self.songs = [self.make_song(number) for number in range(9)]
        self.events = [event for n in range(listeners) for event in self.listen(f"listener {n}", plays)]
        self.events += [self.corrupt(self.random.choice(self.events)) for _ in range(len(self.events) // 6)]
        self.events += [self.make_other(kind) for kind in ("skip", "like", "playlist", "now_playing") for _ in range(12)]

    def split(self, batches: int) -> list[list[tuple[str, Event]]]:
        """The events in any order, in so many batches, each with the bronze table it belongs to."""
        shuffled = self.random.sample(self.events, len(self.events))
        placed = [(self.choose_table(event), event) for event in shuffled]
        placed += [(REJECTED_TABLE, self.make_rejected_row(f"listener {n}")) for n in range(10)]
        self.random.shuffle(placed)
        return [placed[number::batches] for number in range(batches)]

    def make_uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def make_song(self, number: int) -> Event:
        return {
            "artist_name": f"Artist {number % 4}", "track_name": f"Título {number}", "track_id": f"id{number:03}",
            "duration_ms": self.random.choice([20_000, 90_000, 210_000]), "episode": number % 4 == 3,
        }  # fmt: skip

    def listen(self, user: str, plays: int) -> list[Event]:
        moment, events = START + timedelta(hours=self.random.randrange(200)), []
        mine = self.random.sample(SOURCES, 5)
        for _ in range(plays):
            song = self.random.choice(self.songs[:5] if self.random.random() < 0.7 else self.songs)
            heard = self.random.choice([0, 12_000, 31_000, song["duration_ms"]])
            observers = self.random.sample(mine, self.random.randint(1, len(mine)))
            events += [self.observe(source, user, song, moment, heard) for source in observers]
            moment += timedelta(milliseconds=heard, seconds=self.random.choice([0, 1, 70, 400, 50_000]))
        return events

    def observe(self, source: str, user: str, song: Event, start: datetime, heard: int) -> Event:
        """One play as that source observes it."""
        end = start + timedelta(milliseconds=heard)
        event: Event = {"event_id": self.make_uuid(), "event_type": "play", "user_id": user, "played_at": start, "ms_played": heard,
                        "artist_name": song["artist_name"], "track_name": song["track_name"], "produced_at": START}  # fmt: skip
        kind = "episode" if song["episode"] else "track"
        if source == "extended":
            end = end.replace(microsecond=0)
            ref = {"source_ref": f"extended:{end:%Y-%m-%dT%H:%M:%SZ}", "played_at": end - timedelta(milliseconds=heard)}
            observed = {"content_type": kind, "track_id": song["track_id"], "is_skipped": self.random.choice([True, False, None])} | ref
        elif source == "short":
            end = end.replace(second=0, microsecond=0)
            ref = {"source_ref": f"short:{end:%Y-%m-%dT%H:%M:%SZ}", "played_at": end - timedelta(milliseconds=heard)}
            observed = {"content_type": self.random.choice([None, None, "episode"]) if song["episode"] else None} | ref
        elif source == "old extended":
            end = end.replace(microsecond=0)
            named = {} if self.random.random() < 0.7 else {"track_name": None, "artist_name": None, "track_id": song["track_id"]}
            ref = {"source_ref": f"extended:{end:%Y-%m-%dT%H:%M:%SZ}{self.random.choice(['', '', '#2'])}"}
            spelled = {"track_name": unicodedata.normalize("NFD", song["track_name"]), "artist_name": song["artist_name"] + " & Sons"}
            observed = {"played_at": end - timedelta(milliseconds=heard)} | ref | spelled | named
        elif source == "second live":
            later = start + timedelta(seconds=2.5)
            ended = f"{end + timedelta(minutes=self.random.choice([0, 9])):%Y-%m-%dT%H:%M:%SZ}"
            observed = {"played_at": later, "extra": json.dumps({"ended_at": ended, "isrc": f"DE{song['track_id']}"})}
        elif source == "lastfm by the minute":
            minute = start.replace(second=0, microsecond=0)
            observed = {"played_at": minute, "ms_played": None, "source_ref": f"lastfm_minute:{minute:%Y-%m-%dT%H:%M:%SZ}"}
        elif source == "recent":
            known = {"track_id": song["track_id"], "duration_ms": song["duration_ms"], "content_type": "track"}
            observed = {"played_at": end, "ms_played": None} | known
        elif source in ("lastfm", "listenbrainz"):
            observed = {"ms_played": None, "track_name": song["track_name"].upper() + " "}
        else:
            track_id = song["track_id"] if self.random.random() < 0.8 else None
            content_type = kind if self.random.random() < 0.8 else None
            device = self.random.choice(["mobile", "car", "Smartphone", " Unknown ", None])
            observed = {"track_id": track_id, "content_type": content_type, "device_type": device, "duration_ms": song["duration_ms"]}
        basis = BASES.get(source, "reported")
        return event | {"played_at_basis": basis, "source": NAMES.get(source, source)} | observed

    def corrupt(self, event: Event) -> Event:
        """The same event again: repeated, changed, invalid, or with another type."""
        change: Event = self.random.choice([
            {}, {}, {"ms_played": 45_000}, {"track_id": None}, {"content_type": "episode"}, {"content_type": None},
            {"content_type": "video"},
            {"played_at": event["played_at"] + timedelta(days=1)}, {"user_id": "listener 0"}, {"user_id": None}, {"duration_ms": 0},
            {"event_type": "like"}, {"artist_name": "Artist 3"}, {"track_name": None}, {"track_name": "  título  1"}, {"track_id": "id000"},
            {"track_name": "\u00a0Título 2\n"}, {"track_name": "\u3000"}, {"artist_name": " "},
            {"extra": '{"podcastName":"Artist 2"}'}, {"extra": '{"episode_show_name":"Artist 0"}', "source": "api"},
            {"event_id": self.make_uuid(), "user_id": None}, {"ms_played": 2**62}, {"produced_at": START + timedelta(days=3)},
        ])  # fmt: skip
        return event | change

    def make_rejected_row(self, user: str) -> Event:
        """A rejected row of an export, which may name a show."""
        show = self.random.choice(["Artist 1", "Artist 3", "", None, 7])
        return {
            "user_id": user,
            "row": {self.random.choice(["episode_show_name", "podcastName"]): show, "ms_played": float("nan") if show == 7 else 1},
        }

    def make_other(self, kind: str) -> Event:
        song = self.random.choice(self.songs)
        return {"event_id": self.random.choice([self.make_uuid(), str(uuid.UUID(int=self.random.randrange(4)))]), "event_type": kind,
                "user_id": self.random.choice(["listener 1", "listener 2", None]), "played_at": START, "track_id": song["track_id"],
                "track_name": song["track_name"], "action": "add" if kind == "playlist" else "like", "source": "generator"}  # fmt: skip

    def choose_table(self, event: Event) -> str:
        is_imported = event["source"] in ("spotify_export", "lastfm", "listenbrainz") or self.random.random() < 0.2
        return "history" if is_imported else LIVE_TOPIC_OF_TYPE[event["event_type"]].table
