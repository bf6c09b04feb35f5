"""How long a new song takes from its start to each place that it reaches."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

log = logging.getLogger(__name__)

LEGS = ("seen", "kept", "published", "shown", "observed")
"""From the start of the song to the answer that showed it, to its state on the disk, to the log, to the cache, through the observer."""


@dataclass(frozen=True)
class SongTimes:
    """When an answer came, was kept, published and shown (UTC)."""

    seen_at: datetime
    kept_at: datetime
    published_at: datetime
    shown_at: datetime

    def measure_legs(self, started_at: datetime, observed_at: datetime) -> dict[str, float]:
        """The seconds of each leg, by its name in LEGS."""
        stations = (started_at, self.seen_at, self.kept_at, self.published_at, self.shown_at, observed_at)
        legs = pairwise(stations)
        return {name: (end - begin).total_seconds() for name, (begin, end) in zip(LEGS, legs, strict=True)}


def log_song_times(account: str, seconds: Mapping[str, float]) -> None:
    """One line a song."""
    log.info("%s plays another song: %s", account, ", ".join(f"{leg} after {taken:.3f} s" for leg, taken in seconds.items()))
