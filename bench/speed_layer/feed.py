"""Events for the streaming job at a steady rate: plays, probes among them, and who plays what now; with the moment of each."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from confluent_kafka import Producer

from soundlake.contract.topics import NOW_PLAYING, PLAYS

PROBES_A_SECOND = 5
NOW_PLAYING_A_SECOND = 60
_TICKS = 20


@dataclass
class Feed:
    """Publishes plays at a rate, probes among them, and now-playing events; remembers when, in seconds since 1970."""

    address: str
    rate: int
    stopped: threading.Event = field(default_factory=threading.Event)
    plays: dict[str, float] = field(default_factory=dict)
    probes: dict[str, float] = field(default_factory=dict)
    now_playing: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Until stopped, twenty times a second a twentieth of the rate."""
        producer = Producer({"bootstrap.servers": self.address, "enable.idempotence": True, "linger.ms": 5})
        began, ticks = time.monotonic(), 0
        while not self.stopped.is_set():
            ticks += 1
            now = datetime.now(UTC)
            for place in range(self.rate // _TICKS):
                self._play(producer, now, is_probe=place == 0 and ticks % (_TICKS // PROBES_A_SECOND) == 0)
            for _ in range(NOW_PLAYING_A_SECOND // _TICKS):
                self._tell_now_playing(producer)
            producer.poll(0)
            time.sleep(max(0.0, began + ticks / _TICKS - time.monotonic()))
        assert producer.flush(60) == 0

    def _play(self, producer: Producer, now: datetime, *, is_probe: bool) -> None:
        event_id = str(uuid.uuid4())
        track = event_id if is_probe else f"t{len(self.plays) % 500}"
        event = {
            "event_id": event_id, "event_type": "play", "user_id": f"u{len(self.plays) % 5_000}", "track_id": track, "track_name": "Song",
            "artist_id": "a", "artist_name": "Band", "album_name": "Album", "duration_ms": 180_000, "ms_played": 0, "content_type": "track",
            "played_at": f"{now:%Y-%m-%dT%H:%M:%S.%f}Z", "device_type": "mobile", "country": "DE", "source": "generator",
        }  # fmt: skip
        if is_probe:  # a probe counts as a play by its shortness, so that it shows among the tracks of Redis
            event |= {"duration_ms": 1, "ms_played": 1}
            self.probes[track] = time.time()
        self.plays[event_id] = time.time()
        producer.produce(PLAYS.name, json.dumps(event).encode(), str(event["user_id"]).encode())

    def _tell_now_playing(self, producer: Producer) -> None:
        event_id = str(uuid.uuid4())
        event = {"event_id": event_id, "event_type": "now_playing", "user_id": "u", "position_ms": 1, "duration_ms": 9,
                 "played_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}  # fmt: skip
        self.now_playing[event_id] = time.time()
        producer.produce(NOW_PLAYING.name, json.dumps(event).encode(), event_id.encode())
