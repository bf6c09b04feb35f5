"""What is reckoned from an event, as expressions in the common subset of DuckDB, Spark SQL and Snowflake, so that all reckon alike.

dbt writes the same in its macros; the parity test holds both against each other.
"""

from __future__ import annotations

from soundlake.contract.rules import DAY_MS

NAMES = ("track_name", "artist_name", "album_name", "playlist_name")
"""The fields that are titles: blanks at their ends say nothing."""

_DEVICE_OF_WORD = {
    "computer": "desktop",
    "smartphone": "mobile",
    "phone": "mobile",
    "avr": "speaker",
    "audio_dongle": "speaker",
    "cast_audio": "speaker",
    "stb": "tv",
    "cast_video": "tv",
    "automobile": "car",
    "game_console": "console",
    "smartwatch": "watch",
    "unknown": None,
}
"""Words of players (Spotify Connect's device types) for what the contract calls otherwise."""

_WORD = "lower(trim(device_type))"
_CASES = " ".join(f"when '{word}' then {'null' if device is None else repr(device)}" for word, device in _DEVICE_OF_WORD.items())

NORMAL_FORMS: dict[str, str] = {
    **{name: f"nullif(trim({name}), '')" for name in NAMES},
    "device_type": f"case {_WORD} {_CASES} else nullif({_WORD}, '') end",
}
"""By field: its normal form. Applied twice it is the same."""

IS_LISTEN = (
    "coalesce(coalesce(content_type, 'track') = 'track' and (ms_played is null or ms_played >= 30000"
    " or (duration_ms < 30000 and ms_played >= duration_ms) or (duration_ms is null and reason_end = 'trackdone')), false)"
)
"""Whether a play counts as a listen; content of which the source does not say what it is counts as a track."""

HEARD_MS = f"least(coalesce(ms_played, duration_ms), {DAY_MS})"
"""Milliseconds that a play lasted, as far as known; no longer than a day."""

PASSED_MS = f"case when event_type = 'play' then greatest(coalesce({HEARD_MS}, 0), 0) else 0 end"
"""Milliseconds from `played_at` to the moment at which an event is over: a play at its end, an act at once."""
