"""Data quality rules for decoded events, as data: one list for dbt, Spark and the docs.

Each expression is in the common subset of DuckDB, Spark SQL and Snowflake. It is true for a valid row and never null: an unknown value
passes, unless the rule requires it to be known. The name of a rule states what it requires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from soundlake.contract.record import FIELD_BY_NAME

Severity = Literal["reject", "flag"]

DEVICE_TYPES = ("desktop", "mobile", "tablet", "speaker", "tv", "car", "console", "watch", "web", "other")
WHITE_SPACE = "[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""Unicode's White_Space as a character class for regular expressions, in literal characters, since engines differ in escapes.

It holds all line terminators: Java's `$` matches before one at the end of a text, RE2's does not.
"""
TEN_MINUTES_MS = 600_000
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Rule:
    """One rule. A row that breaks a `reject` rule goes to silver_rejected; a broken `flag` rule is listed in quality_flags."""

    name: str
    severity: Severity
    event_types: tuple[str, ...]
    expression: str
    description: str


_ALL = ("play", "skip", "like", "playlist")
_ON_TRACKS = ("play", "skip", "like")


def _is_one_of(column: str, values: tuple[str, ...]) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"coalesce({column} in ({listed}), true)"


def _values_rule(column: str) -> Rule:
    values = FIELD_BY_NAME[column].values
    return Rule(f"{column}_known", "flag", _ALL, _is_one_of(column, values), f"{column} is one of {', '.join(values)}, or unknown")


RULES: tuple[Rule, ...] = (
    Rule(
        "user_known",
        "reject",
        _ALL,
        f"user_id is not null and regexp_replace(user_id, '^{WHITE_SPACE}+', '') <> ''",
        "user_id is present and not only white space",
    ),
    Rule("duration_positive", "reject", _ALL, "coalesce(duration_ms > 0, true)", "the length of the track is above zero"),
    Rule(
        "ms_played_not_negative",
        "reject",
        ("play",),
        "coalesce(ms_played >= 0, true)",
        "the time heard is not negative; 0 ms is a play",
    ),
    Rule(
        "position_not_negative",
        "reject",
        ("skip",),
        "coalesce(position_ms >= 0, true)",
        "the position of the skip is not negative",
    ),
    Rule(
        "track_named",
        "reject",
        _ON_TRACKS,
        "coalesce(track_id, '') <> '' or coalesce(track_name, '') <> ''",
        "the track (episode, chapter) has an id or a title",
    ),
    Rule("like_action_known", "reject", ("like",), _is_one_of("action", ("like", "unlike")), "the action is like or unlike, or unknown"),
    Rule(
        "playlist_action_known",
        "reject",
        ("playlist",),
        _is_one_of("action", ("create", "add", "remove")),
        "the action is create, add or remove, or unknown",
    ),
    Rule("duration_known", "flag", ("play",), "duration_ms is not null", "the length of the track is known"),
    Rule(
        "ten_minutes_at_most",
        "flag",
        _ON_TRACKS,
        f"coalesce(duration_ms <= {TEN_MINUTES_MS}, true)",
        "the track lasts ten minutes at most",
    ),
    Rule(
        "heard_within_track",
        "flag",
        ("play",),
        "coalesce(ms_played <= duration_ms, true)",
        "heard for at most the length of the track",
    ),
    Rule("heard_within_a_day", "flag", ("play",), f"coalesce(ms_played <= {DAY_MS}, true)", "heard for at most a day"),
    Rule(
        "position_within_track",
        "flag",
        ("skip",),
        "coalesce(position_ms <= duration_ms, true)",
        "skipped within the length of the track",
    ),
    Rule("skip_names_its_play", "flag", ("skip",), "source_ref is not null", "the skipped play is known (source_ref)"),
    Rule(
        "playlist_named",
        "flag",
        ("playlist",),
        "coalesce(playlist_id, '') <> '' or coalesce(playlist_name, '') <> ''",
        "the playlist has an id or a title",
    ),
    Rule(
        "playlist_track_named",
        "flag",
        ("playlist",),
        "coalesce(action = 'create', true) or coalesce(track_id, '') <> '' or coalesce(track_name, '') <> ''",
        "the added or removed track has an id or a title",
    ),
    Rule(
        "artist_named",
        "flag",
        _ON_TRACKS,
        "coalesce(artist_id, '') <> '' or coalesce(artist_name, '') <> ''",
        "the artist has a name or an id",
    ),
    Rule(
        "export_start_known",
        "flag",
        ("play",),
        "coalesce(source <> 'spotify_export' or played_at_basis <> 'reported', true)",
        "the export says when it was heard: it was not offline or cut off without the device's own time",
    ),
    Rule(
        "produced_after_played",
        "flag",
        _ALL,
        "coalesce(produced_at >= played_at, true)",
        "the event was sent after it happened: the producer's clock is not ahead",
    ),
    Rule(
        "device_known",
        "flag",
        _ALL,
        _is_one_of("device_type", DEVICE_TYPES),
        f"device_type is one of {', '.join(DEVICE_TYPES)}, or unknown",
    ),
    Rule(
        "country_is_a_code",
        "flag",
        _ALL,
        "coalesce(length(country) = 2 and regexp_replace(country, '^[A-Z]+', '') = '' and country <> 'ZZ', true)",
        "country is two capital letters (A to Z) and not ZZ (user-assigned in ISO 3166; exports use it for unknown), or unknown",
    ),
    *(_values_rule(column) for column in ("source", "content_type", "played_at_basis")),
)
"""All rules, in the order of evaluation: the first `reject` rule that a row breaks is its reason for rejection."""


def list_rules(event_type: str, severity: Severity) -> tuple[Rule, ...]:
    """List the rules of one severity that apply to events of that type."""
    return tuple(rule for rule in RULES if rule.severity == severity and event_type in rule.event_types)
