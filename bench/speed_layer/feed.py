"""Live events for the streaming job at a steady rate, of all types and with faults; records when each was sent."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from confluent_kafka import Producer

from soundlake.contract.topics import LIVE_TOPIC_OF_TYPE, NOW_PLAYING, PLAYS

PROBES_A_SECOND = 5
NOW_PLAYING_A_SECOND = 60
TRACKS = 20_000
LISTENERS = 5_000
TRACK_MS = 180_000
_TICKS = 20
_SHARES = {"play": 0.86, "skip": 0.09, "like": 0.03, "playlist": 0.02}
_REPEATED_SHARE = 0.02
"""Share of records sent twice: half of them at once, the others some seconds later."""
_INVALID_SHARE = 0.005
"""Share of records that cannot be decoded or break a rule."""
_DEVICES = ("mobile", "Smartphone", "desktop", "speaker", "TV", "web", "car")
_COUNTRIES = ("DE", "FR", "GB", "US", "BR", "JP", "SE", "PL", "IN", "MX")


def find_track(number: int) -> dict[str, object]:
    """A track of the catalogue, by its number."""
    artist = number % 1_500
    return {
        "track_id": f"t{number}", "track_name": f"Song {number}", "artist_id": f"a{artist}", "artist_name": f"Band {artist}",
        "album_name": f"Album {number // 10}", "duration_ms": TRACK_MS,
    }  # fmt: skip


@dataclass
class Feed:
    """Publishes live events at a rate, probes among the plays, and now-playing events; remembers when, in seconds since 1970.

    `sent`: by table, each event_id expected there once; `rejected`: how many records are expected in quarantine.
    """

    address: str
    rate: int
    stopped: threading.Event = field(default_factory=threading.Event)
    sent: dict[str, dict[str, float]] = field(default_factory=lambda: {topic.table: {} for topic in LIVE_TOPIC_OF_TYPE.values()})
    rejected: int = 0
    repeated: int = 0
    probes: dict[str, float] = field(default_factory=dict)
    _chance: random.Random = field(default_factory=lambda: random.Random(11))
    _later: deque[tuple[float, str, bytes, bytes]] = field(default_factory=deque)

    @property
    def plays(self) -> dict[str, float]:
        """The plays among `sent`."""
        return self.sent[PLAYS.table]

    @property
    def now_playing(self) -> dict[str, float]:
        """The now-playing events among `sent`."""
        return self.sent[NOW_PLAYING.table]

    @property
    def events(self) -> int:
        """How many events are expected in the tables."""
        return sum(map(len, self.sent.values()))

    def run(self) -> None:
        """Until stopped, twenty times a second a twentieth of the rate."""
        producer = Producer({"bootstrap.servers": self.address, "enable.idempotence": True, "linger.ms": 5})
        began, ticks = time.monotonic(), 0
        while not self.stopped.is_set():
            ticks += 1
            now = datetime.now(UTC)
            if ticks % (_TICKS // PROBES_A_SECOND) == 0:
                self._send_probe(producer, now)
            for kind in self._chance.choices(list(_SHARES), list(_SHARES.values()), k=self.rate // _TICKS):
                self._send(producer, kind, now)
            for _ in range(NOW_PLAYING_A_SECOND // _TICKS):
                self._send_now_playing(producer)
            while self._later and self._later[0][0] < time.monotonic():
                producer.produce(*self._later.popleft()[1:])
            producer.poll(0)
            time.sleep(max(0.0, began + ticks / _TICKS - time.monotonic()))
        assert producer.flush(60) == 0

    def _send_probe(self, producer: Producer, now: datetime) -> None:
        """A play of a track of its own, which counts by its shortness, so that it shows among the tracks of Redis."""
        event = self._make("play", now, ms_played=1) | {"duration_ms": 1}
        event["track_id"] = event["event_id"]
        self.probes[str(event["track_id"])] = self.plays[str(event["event_id"])] = time.time()
        producer.produce(PLAYS.name, json.dumps(event).encode(), str(event["user_id"]).encode())

    def _send(self, producer: Producer, kind: str, now: datetime) -> None:
        topic, event = LIVE_TOPIC_OF_TYPE[kind], self._make(kind, now, ms_played=self._chance.randrange(5_000, TRACK_MS))
        key, luck = str(event["user_id"]).encode(), self._chance.random()
        if luck < _INVALID_SHARE:
            self.rejected += 1
            broken = b"{" if luck < _INVALID_SHARE / 2 else json.dumps(event | {"user_id": " "}).encode()
            producer.produce(topic.name, broken, key)
            return
        value = json.dumps(event).encode()
        self.sent[topic.table][str(event["event_id"])] = time.time()
        producer.produce(topic.name, value, key)
        if luck > 1 - _REPEATED_SHARE:
            self.repeated += 1
            seconds = 0.0 if luck > 1 - _REPEATED_SHARE / 2 else 5.0
            self._later.append((time.monotonic() + seconds, topic.name, value, key))

    def _make(self, kind: str, now: datetime, *, ms_played: int) -> dict[str, object]:
        """An event that has just ended."""
        number = int(TRACKS * self._chance.random() ** 3)  # few tracks are heard often, many rarely
        began = now - timedelta(milliseconds=ms_played)
        event: dict[str, object] = {
            "event_id": str(uuid.uuid4()), "event_type": kind, "user_id": f"u{self._chance.randrange(LISTENERS)}", **find_track(number),
            "content_type": "track", "device_type": self._chance.choice(_DEVICES), "country": self._chance.choice(_COUNTRIES),
            "source": "generator", "played_at": f"{began if kind in ('play', 'skip') else now:%Y-%m-%dT%H:%M:%S.%f}Z",
        }  # fmt: skip
        if kind in ("play", "skip"):
            event["ms_played"] = ms_played
        if kind == "skip":
            event["skipped"] = True
        return event

    def _send_now_playing(self, producer: Producer) -> None:
        event_id = str(uuid.uuid4())
        event = {"event_id": event_id, "event_type": "now_playing", "user_id": "u", "position_ms": 1, "duration_ms": 9,
                 "played_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}  # fmt: skip
        self.now_playing[event_id] = time.time()
        producer.produce(NOW_PLAYING.name, json.dumps(event).encode(), event_id.encode())
