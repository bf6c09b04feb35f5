"""A common approach: each field from Faker, without listeners, tastes or sessions."""

from __future__ import annotations

import json
from pathlib import Path

from faker import Faker


def write_fakes(events: int, target: Path) -> int:
    """Write a number of events as NDJSON."""
    fake = Faker()
    fake.seed_instance(1)
    with target.open("w", encoding="utf-8") as file:
        for _ in range(events):
            event = {
                "event_id": fake.uuid4(), "event_type": fake.random_element(("play", "skip", "like")), "user_id": fake.user_name(),
                "played_at": fake.iso8601(), "session_id": fake.uuid4(), "track_id": fake.uuid4(), "track_name": fake.sentence(nb_words=3),
                "artist_id": fake.uuid4(), "artist_name": fake.name(), "album_id": fake.uuid4(), "album_name": fake.word(),
                "duration_ms": fake.random_int(60_000, 400_000), "ms_played": fake.random_int(0, 400_000),
                "reason_start": fake.random_element(("clickrow", "trackdone")), "reason_end": fake.random_element(("fwdbtn", "trackdone")),
                "is_skipped": fake.boolean(), "is_shuffle": fake.boolean(), "is_offline": fake.boolean(), "is_private": fake.boolean(),
                "context_uri": fake.uri(), "device_type": fake.word(), "platform": fake.user_agent(), "country": fake.country_code(),
                "source": "generator", "produced_at": fake.iso8601(),
            }  # fmt: skip
            file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
    return events
