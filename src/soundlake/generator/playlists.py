"""The playlists each listener has: every few weeks or months they make one, and the oldest falls out of use."""

from __future__ import annotations

import numpy as np

from soundlake.generator.listeners import Listeners
from soundlake.generator.randomness import Floats, Ints


def find_newest(listeners: Listeners, rows: Ints, days: Ints) -> Ints:
    """The number of each row's listener's newest playlist on that day."""
    return np.asarray(np.floor(days / listeners.list_days[rows] + listeners.list_phase[rows]).astype(np.int64))


def find_days_made(listeners: Listeners, rows: Ints, numbers: Ints) -> Ints:
    """The day on which each playlist was made."""
    return np.asarray(np.ceil((numbers - listeners.list_phase[rows]) * listeners.list_days[rows]).astype(np.int64))


def choose_playlists(listeners: Listeners, rows: Ints, newest: Ints, shares: Floats) -> Ints:
    """One of the playlists in use for each share, a newer one rather."""
    return np.maximum(newest - np.floor(listeners.playlists[rows] * shares**2).astype(np.int64), 0)
