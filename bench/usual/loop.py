"""A common approach: an event loop in plain Python with the generator's steps, one dictionary per event.

A heap has the next session of each listener. A session moves from context to context; a slot of the listener's library has an artist (the
nearer one of two drawn by popularity); taste, mood, familiarity and position in the session determine skips; then come pauses, likes and
playlists. The same fields of the contract are filled as in the generator.
"""

from __future__ import annotations

import heapq
import json
import math
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from soundlake.generator.model.catalogue import Catalogue

CONTEXTS = ("collection", "album", "playlist", "radio", "search", "repeat", "editorial")
DEVICES = (("mobile", "Android OS 14 API 34 (Google, Pixel 8)"), ("desktop", "Windows 11 (10.0.22631; x64)"), ("car", "Android Auto"))
START = datetime(2026, 1, 1, tzinfo=UTC)
Event = dict[str, Any]


class TrackLists:
    """The catalogue as lists."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.track_id, self.track_name = catalogue.track_id.to_pylist(), catalogue.track_name.to_pylist()
        self.artist_id, self.artist_name = catalogue.artist_id.to_pylist(), catalogue.artist_name.to_pylist()
        self.album_id, self.album_name = catalogue.album_id.to_pylist(), catalogue.album_name.to_pylist()
        self.artist, self.album = catalogue.track_artist.tolist(), catalogue.track_album.tolist()
        self.duration = catalogue.track_duration_ms.tolist()
        self.position = catalogue.artist_position.tolist()
        self.artist_popularity_cumsum = catalogue.artist_popularity_cumsum[1:].tolist()
        self.track_popularity = np.diff(catalogue.track_popularity_cumsum).tolist()
        first = catalogue.track_first_of_album[catalogue.album_first_of_artist].tolist()
        self.tracks_of = [range(begin, end) for begin, end in pairwise(first)]


class Listener:
    """One listener with their library and playlists."""

    def __init__(self, random: Random, number: int, catalogue: TrackLists) -> None:
        self.random, self.number, self.catalogue = random, number, catalogue
        place = [random.gauss(0, 1) for _ in range(8)]
        length = math.sqrt(sum(part * part for part in place))
        self.position = [part / length for part in place]
        self.contexts = [random.lognormvariate(0, 0.9) for _ in CONTEXTS]
        self.device, self.country = random.choice(DEVICES), random.choice(("US", "DE", "BR", "IN", "IL", "JP"))
        self.skip_bias, self.skip_haste, self.library_size = random.gauss(-1.8, 1.1), random.random(), random.randrange(4, 1_000)
        self.switch_share, self.pause_share, self.like_share = random.random() * 0.2, random.random() * 0.2, random.random() * 0.03
        self.sessions_per_day, self.plays_mu = random.lognormvariate(0.8, 0.7), random.gauss(1.9, 0.5)
        self.library: dict[int, int] = {}
        self.playlists: dict[int, list[int]] = {}

    def find_artist(self) -> int:
        """The artist of a slot of the library."""
        random, catalogue = self.random, self.catalogue
        slot = int(min(self.library_size, random.paretovariate(0.8))) - 1
        if slot not in self.library:
            pair = random.choices(range(len(catalogue.artist_popularity_cumsum)), cum_weights=catalogue.artist_popularity_cumsum, k=2)
            self.library[slot] = max(pair, key=self.measure_affinity)
        return self.library[slot]

    def measure_affinity(self, artist: int) -> float:
        """Cosine of listener and artist."""
        return sum(mine * theirs for mine, theirs in zip(self.position, self.catalogue.position[artist], strict=True))

    def draw_track(self, artist: int) -> int:
        """A track of the artist by popularity."""
        tracks = self.catalogue.tracks_of[artist]
        return self.random.choices(tracks, weights=self.catalogue.track_popularity[tracks.start : tracks.stop])[0]

    def choose_track(self, context: str, state: Event) -> int:
        """The next track of a context."""
        random, catalogue = self.random, self.catalogue
        if context in ("collection", "search"):
            return self.draw_track(self.find_artist())
        if "seed" not in state:
            state["seed"] = self.draw_track(self.find_artist())
        if context == "repeat":
            return state["seed"]
        if context == "album":
            track = state["seed"] + state["step"]
            is_over = track >= len(catalogue.album) or catalogue.album[track] != catalogue.album[state["seed"]]
            return self.draw_track(catalogue.artist[state["seed"]]) if is_over else track
        if context == "playlist":
            number = random.randrange(5)
            if number not in self.playlists:
                self.playlists[number] = [self.draw_track(self.find_artist()) for _ in range(30)]
            return self.playlists[number][state["step"] % 30]
        return self.draw_track(
            random.choices(range(len(catalogue.artist_popularity_cumsum)), cum_weights=catalogue.artist_popularity_cumsum)[0]
        )

    def generate_session(self, at: datetime) -> Iterator[Event]:
        """The events of a session."""
        random, catalogue, session = self.random, self.catalogue, make_id(self.random)
        reason_start, context, state = "appload", "", {"step": 0}
        mood, left = random.gauss(0, 0.9), max(1, round(random.lognormvariate(self.plays_mu, 1.0)))
        for place in range(min(left, 250)):
            if not context or random.random() < self.switch_share:
                context, state = random.choices(CONTEXTS, weights=self.contexts)[0], {"step": 0, "number": random.randrange(10**6)}
            track = self.choose_track(context, state)
            state["step"] += 1
            artist, duration = catalogue.artist[track], catalogue.duration[track]
            skip_logit = self.skip_bias + mood + 0.9 * (0.75 - self.measure_affinity(artist)) + 0.5 * (place < 2)
            is_skipped = random.random() < 1 / (1 + math.exp(-skip_logit))
            played = int(duration if not is_skipped else duration * random.random() ** (1 + 3 * self.skip_haste))
            reason_end = "fwdbtn" if is_skipped else "trackdone" if place < left - 1 else "endplay"
            play = self.describe(track, session) | {
                "event_id": make_id(random), "event_type": "play", "played_at": write_time(at), "ms_played": played,
                "reason_start": reason_start, "reason_end": reason_end, "is_skipped": is_skipped, "is_shuffle": random.random() < 0.3,
                "is_offline": False, "is_private": False, "context_uri": f"sl:{context}:{state['number']}",
                "produced_at": write_time(at + timedelta(milliseconds=played + 300)),
            }  # fmt: skip
            yield play
            at += timedelta(milliseconds=played)
            yield from self.draw_interactions(track, session, play, at)
            pause = random.lognormvariate(4.3, 0.9) if random.random() < self.pause_share else random.random()
            at, reason_start = at + timedelta(seconds=min(pause, 1_700)), reason_end if reason_end != "endplay" else "clickrow"

    def draw_interactions(self, track: int, session: str, play: Event, at: datetime) -> Iterator[Event]:
        """Skips, likes and playlist changes."""
        random, moment = self.random, write_time(at)
        interactions: list[Event] = []
        if play["is_skipped"]:
            interactions.append({"event_type": "skip", "position_ms": play["ms_played"], "source_ref": play["event_id"]})
        elif random.random() < self.like_share:
            interactions.append({"event_type": "like", "action": "like"})
        if random.random() < 0.7 * self.like_share:
            action = "remove" if play["is_skipped"] else "add"
            name = f"sl_playlist_{self.number}_{random.randrange(5)}"
            interactions.append({"event_type": "playlist", "action": action, "playlist_id": name, "playlist_name": "Late nights"})
        for interaction in interactions:
            yield self.describe(track, session) | interaction | {"event_id": make_id(random), "played_at": moment, "produced_at": moment}

    def describe(self, track: int, session: str) -> Event:
        """The fields that all events of a track share."""
        catalogue = self.catalogue
        artist, album = catalogue.artist[track], catalogue.album[track]
        return {
            "schema_version": 1, "user_id": f"listener-{self.number:06d}", "played_at_basis": "measured", "session_id": session,
            "content_type": "track", "track_id": catalogue.track_id[track], "track_name": catalogue.track_name[track],
            "artist_id": catalogue.artist_id[artist], "artist_name": catalogue.artist_name[artist], "album_id": catalogue.album_id[album],
            "album_name": catalogue.album_name[album], "duration_ms": catalogue.duration[track], "device_type": self.device[0],
            "platform": self.device[1], "country": self.country, "source": "generator",
        }  # fmt: skip


def make_id(random: Random) -> str:
    """A random UUID."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def write_time(moment: datetime) -> str:
    """RFC 3339 with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run_loop(catalogue: TrackLists, listeners: int) -> Iterator[Event]:
    """An endless stream of events, ordered by the start of their sessions."""
    random = Random(1)
    people = [Listener(random, number, catalogue) for number in range(listeners)]
    queue = [(START + timedelta(days=random.random()), number) for number in range(listeners)]
    heapq.heapify(queue)
    while True:
        at, number = heapq.heappop(queue)
        yield from people[number].generate_session(at)
        wait = timedelta(days=0.05 + random.expovariate(people[number].sessions_per_day))
        heapq.heappush(queue, (at + wait, number))


def write_loop(catalogue: TrackLists, listeners: int, events: int, target: Path) -> int:
    """Write a number of events as NDJSON."""
    with target.open("w", encoding="utf-8") as file:
        for event in islice(run_loop(catalogue, listeners), events):
            file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
    return events
