"""What is reckoned from an event, as expressions in the common subset of DuckDB, Spark SQL and Snowflake, so that all reckon alike.

NORMAL_FORMS reach dbt by a generated macro (contract_forms); of the others it writes its own, and the parity test holds both against
each other.
"""

from __future__ import annotations

from soundlake.contract.rules import DAY_MS, DEVICE_TYPES, WHITE_SPACE

TITLE_FIELDS = ("track_name", "artist_name", "album_name", "playlist_name")
"""The fields that are titles: white space at their ends says nothing."""

DEVICE_OF_WORD = {
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

_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"


def _strip(column: str) -> str:
    """A text without white space at its ends. Not by trim: DuckDB's takes every space, Spark's the ASCII one alone."""
    return f"regexp_replace(regexp_replace({column}, '^{WHITE_SPACE}+', ''), '{WHITE_SPACE}+$', '')"


def _make_device_form() -> str:
    """The contract's word for a device. In lower case by A to Z alone: beyond, lower() differs by engine (İ, a Σ at the end)."""
    known = ", ".join(f"'{device}'" for device in DEVICE_TYPES)
    word = f"translate({_strip('device_type')}, '{_UPPER}', '{_LOWER}')"
    cases = " ".join(f"when '{word}' then " + (f"'{device}'" if device else "null") for word, device in DEVICE_OF_WORD.items())
    # Nearly all are the contract's words already, and translate costs DuckDB 2 µs.
    return f"case when device_type in ({known}) then device_type else case {word} {cases} else nullif({word}, '') end end"


NORMAL_FORMS: dict[str, str] = {**{name: f"nullif({_strip(name)}, '')" for name in TITLE_FIELDS}, "device_type": _make_device_form()}
"""By field: its normal form. Applied twice it is the same."""

IS_LISTEN = (
    "coalesce(coalesce(content_type, 'track') = 'track' and (ms_played is null or ms_played >= 30000"
    " or (duration_ms < 30000 and ms_played >= duration_ms) or (duration_ms is null and reason_end = 'trackdone')), false)"
)
"""Whether a play counts as a listen; content of which the source does not say what it is counts as a track."""

HEARD_MS = f"case when coalesce(ms_played, duration_ms) > {DAY_MS} then {DAY_MS} else coalesce(ms_played, duration_ms) end"
"""Milliseconds that a play lasted, no longer than a day; null where nothing is known (least() would make a day of it)."""

ELAPSED_MS = f"case when event_type = 'play' then greatest(coalesce({HEARD_MS}, 0), 0) else 0 end"
"""Milliseconds from `played_at` to the moment at which an event is over: a play at its end, an act at once."""
