"""How a simulated listener uses the player, beyond which songs are played: shares of the plays in which something happens."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

Action = Literal["pause", "forward", "back", "device", "private"]

_SHORTEST_MS = 20_000
"""Nothing happens within shorter plays."""


@dataclass(frozen=True, slots=True)
class Habits:
    """Shares of the plays with a pause, a seek, a change of device or a private rest; `is_free` hears adverts between songs.

    `is_seen` is never offline and starts no private session of its own. `longest_idle_s` (seconds) shortens the silence between plays, so
    that a listener plays round the clock; null leaves it as it is.
    """

    pause_share: float = 0.08
    forward_share: float = 0.03
    back_share: float = 0.03
    device_share: float = 0.03
    private_share: float = 0.01
    is_free: bool = False
    is_seen: bool = False
    longest_idle_s: float | None = None

    def draw_actions(self, random: Random, length_ms: int) -> list[tuple[int, Action]]:
        """What happens within a play of this length, and at which position (ms), in order."""
        shares: dict[Action, float] = {
            "pause": self.pause_share,
            "forward": self.forward_share,
            "back": self.back_share,
            "device": self.device_share,
            "private": self.private_share,
        }
        drawn = [(random.uniform(0.1, 0.9), action) for action, share in shares.items() if random.random() < share]
        return [] if length_ms < _SHORTEST_MS else sorted((round(place * length_ms), action) for place, action in drawn)


def draw_pause_ms(random: Random) -> int:
    """The length of a pause: half a minute typically, at times many minutes."""
    return round(min(max(random.lognormvariate(3.4, 1.3), 1.0), 3_600.0) * 1_000)
