"""Values derived from an event, as expressions in the common subset of DuckDB, Spark SQL and Snowflake: one result in all engines.

dbt gets NORMAL_FORMS from a generated macro (contract_normal_forms) and has its own versions of the others; a parity test compares them.
"""

from __future__ import annotations

from soundlake.contract.rules import DAY_MS, DEVICE_TYPES, WHITE_SPACE

TITLE_FIELDS = ("track_name", "artist_name", "album_name", "playlist_name")
"""The fields that are names and titles: white space at their ends has no meaning."""

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
"""Spotify Connect's device types that have another name in the contract."""

_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"


def _strip(column: str) -> str:
    """Strip white space at both ends. Not with trim: DuckDB's removes every kind of space, Spark's only the ASCII one."""
    return f"regexp_replace(regexp_replace({column}, '^{WHITE_SPACE}+', ''), '{WHITE_SPACE}+$', '')"


def _make_device_form() -> str:
    """Map a device to the contract's name. Only A to Z is put into lower case: beyond, lower() differs by engine (İ, a Σ at the end)."""
    known = ", ".join(f"'{device}'" for device in DEVICE_TYPES)
    word = f"translate({_strip('device_type')}, '{_UPPER}', '{_LOWER}')"
    cases = " ".join(f"when '{word}' then " + (f"'{device}'" if device else "null") for word, device in DEVICE_OF_WORD.items())
    # Nearly all values are the contract's names already, and translate costs 2 µs a row in DuckDB.
    return f"case when device_type in ({known}) then device_type else case {word} {cases} else nullif({word}, '') end end"


NORMAL_FORMS: dict[str, str] = {**{name: f"nullif({_strip(name)}, '')" for name in TITLE_FIELDS}, "device_type": _make_device_form()}
"""The normal form by field; applying it twice changes nothing."""

IS_LISTEN = (
    "coalesce(coalesce(content_type, 'track') = 'track' and (ms_played is null or ms_played >= 30000"
    " or (duration_ms < 30000 and ms_played >= duration_ms) or (duration_ms is null and reason_end = 'trackdone')), false)"
)
"""Whether a play counts as a listen; content of unknown type counts as a track."""

HEARD_MS = f"case when coalesce(ms_played, duration_ms) > {DAY_MS} then {DAY_MS} else coalesce(ms_played, duration_ms) end"
"""Milliseconds heard in a play, a day at most; null if unknown (least() would return a day for null)."""

ELAPSED_MS = f"case when event_type = 'play' then greatest(coalesce({HEARD_MS}, 0), 0) else 0 end"
"""Milliseconds from `played_at` to the end of the event: the time heard for a play, zero for the other types."""
