"""Plays of about 350 encoded bytes each, for decode.py and kafka.py."""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa

from soundlake.contract import EVENT_SCHEMA


def make_plays(count: int, latest_ms: int, spread_ms: int) -> pa.Table:
    """A number of plays that started within `spread_ms` before `latest_ms` (epoch ms); the same for the same arguments."""
    random = np.random.default_rng(1)
    raw = random.bytes(16 * count)
    numbers = random.integers(0, 5_000, count)
    columns = {
        "event_id": [str(uuid.UUID(bytes=raw[start : start + 16])) for start in range(0, 16 * count, 16)],
        "event_type": ["play"] * count,
        "user_id": [f"listener-{number:06}" for number in random.integers(0, 50_000, count)],
        "played_at": (latest_ms - random.integers(0, spread_ms, count)) * 1_000,
        "track_id": [f"sl_track_{number:013}" for number in numbers],
        "track_name": [f"Naïve “Title” no {number}" for number in numbers],
        "artist_name": [f"The Artists {number % 700}" for number in numbers],
        "album_name": [f"Album {number % 900}" for number in numbers],
        "duration_ms": random.integers(60_000, 400_000, count),
        "ms_played": random.integers(0, 400_000, count),
        "device_type": ["mobile"] * count,
        "country": ["DE"] * count,
        "source": ["generator"] * count,
    }
    return pa.table({name: pa.array(values, EVENT_SCHEMA.field(name).type) for name, values in columns.items()})
