"""Asks what an account plays: by the player, or by currently-playing where the player fails or is not allowed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from soundlake.broker.protocol import Clock
from soundlake.spotify.client import PlayerAnswer, SpotifyAPIClient
from soundlake.spotify.errors import Forbidden, RequestRefused, ServiceFails

AVOIDED_FOR = timedelta(hours=1)
"""How long a player that is not allowed is left alone."""

FAILS_AFTER = 3
"""Failures in a row after which every second call is currently-playing: a single one passes."""


@dataclass
class PlayerSource:
    """Remembers of which accounts the player fails or is not allowed.

    Currently-playing has no device and does not show a private session: it is asked only where the player gives nothing, and never
    while the last answer showed a private session.
    """

    clock: Clock
    _avoided_until: dict[str, datetime] = field(default_factory=dict)
    _failures: Counter[str] = field(default_factory=Counter)

    async def ask(self, client: SpotifyAPIClient, *, is_private: bool) -> PlayerAnswer:
        """What the account plays. Raises what the client raises."""
        account, failures = client.account, self._failures[client.account]
        is_avoided = self.clock() < self._avoided_until.get(account, self.clock())
        if not is_private and (is_avoided or (failures >= FAILS_AFTER and failures % 2)):
            self._failures[account] += not is_avoided
            return await client.get_currently_playing()
        try:
            answer = await client.get_player(has_fallback=not is_private)
        except (ServiceFails, RequestRefused):
            self._failures[account] += 1
            raise
        except Forbidden as error:
            if is_private or error.until is not None or error.reason not in ("scope", "unknown"):
                raise  # who waits is parked
            self._avoided_until[account] = self.clock() + AVOIDED_FOR
            return await client.get_currently_playing()
        del self._failures[account]
        return answer
