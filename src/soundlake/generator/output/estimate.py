"""Estimates the size and duration of a run from a sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from soundlake.contract.encode import encode_events
from soundlake.generator.model.sessions import DAY_MS
from soundlake.generator.model.world import COHORT_LISTENERS, World

_SAMPLE_LISTENER_DAYS = 8_000
_PARQUET_BYTES = 57
"""Bytes per event in Parquet with zstd (measured over a million events)."""


def estimate_run(world: World, monotonic: Callable[[], float]) -> dict[str, Any]:
    """Approximate events, bytes and minutes of the world's days, from a sample of some listeners and days in the middle."""
    config = world.config
    listeners = min(config.listeners, COHORT_LISTENERS)
    days = max(1, min(config.days, _SAMPLE_LISTENER_DAYS // listeners))
    first_day = int(np.datetime64(config.start, "D").astype(np.int64)) + (config.days - days) // 2
    begun = monotonic()
    sample = world.make_listeners_span(0, listeners, first_day * DAY_MS, (first_day + days) * DAY_MS)
    lines = encode_events(sample)
    seconds = monotonic() - begun
    scale = config.listeners / listeners * config.days / days
    return {
        "events": round(len(sample) * scale),
        "bytes_parquet": round(len(sample) * scale * _PARQUET_BYTES),
        "bytes_ndjson": round((sum(map(len, lines)) + len(lines)) * scale),
        "minutes": round(seconds * scale / 60, 2),
    }
