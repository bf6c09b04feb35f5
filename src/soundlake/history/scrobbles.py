"""Natural keys of scrobbles, whichever service keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import orjson

from soundlake.history.play_columns import Times, format_instants, normalize_text

Texts = Sequence[str | None]


def make_scrobble_keys(user_id: str, times: Times, artists: Texts, titles: Texts, recordings: Texts | None = None) -> list[str]:
    """Listener, time, artist, title, and the recording's id where the player sent one.

    Ids that a service finds later (MusicBrainz ids of Last.fm, mappings of ListenBrainz) change between exports and are no part of a key.
    """
    parts = zip(format_instants(times), artists, titles, recordings or repeat(None, len(times)), strict=True)
    return [orjson.dumps((user_id, time, *map(normalize_text, texts))).decode() for time, *texts in parts]
