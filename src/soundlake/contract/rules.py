"""What a decoded event should hold: rules as data, the same list for dbt, Spark and the docs.

Each expression is in the common subset of DuckDB, Spark SQL and Snowflake, true for a good row, never null: what is unknown passes, unless
the rule asks for it to be known. A rule is named for what is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from soundlake.contract.record import FIELD_BY_NAME

Severity = Literal["reject", "flag"]

DEVICE_TYPES = ("desktop", "mobile", "tablet", "speaker", "tv", "car", "console", "watch", "web", "other")
WHITE_SPACE = "[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""Unicode's White_Space as a class in a regular expression, in plain characters, since engines differ in escapes.

All ends of lines are in it: Java's `$` matches before one at the end of a text, RE2's does not.
"""
TEN_MINUTES_MS = 600_000
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Rule:
    """One rule: who breaks a `reject` goes to silver_rejected, who breaks a `flag` keeps its name in quality_flags."""

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
        "a listener is named, and not by white space",
    ),
    Rule("duration_positive", "reject", _ALL, "coalesce(duration_ms > 0, true)", "a track lasts longer than nothing"),
    Rule("ms_played_not_negative", "reject", ("play",), "coalesce(ms_played >= 0, true)", "nobody hears less than nothing; 0 ms is a play"),
    Rule("position_not_negative", "reject", ("skip",), "coalesce(position_ms >= 0, true)", "a skip is at or after the start"),
    Rule(
        "track_named",
        "reject",
        _ON_TRACKS,
        "coalesce(track_id, '') <> '' or coalesce(track_name, '') <> ''",
        "a track (episode, chapter) is named, by id or by title",
    ),
    Rule("like_action_known", "reject", ("like",), _is_one_of("action", ("like", "unlike")), "the action is like or unlike, or not said"),
    Rule(
        "playlist_action_known",
        "reject",
        ("playlist",),
        _is_one_of("action", ("create", "add", "remove")),
        "the action is create, add or remove, or not said",
    ),
    Rule("duration_known", "flag", ("play",), "duration_ms is not null", "the length of the track is known"),
    Rule("ten_minutes_at_most", "flag", _ON_TRACKS, f"coalesce(duration_ms <= {TEN_MINUTES_MS}, true)", "the track is no longer than that"),
    Rule("heard_within_track", "flag", ("play",), "coalesce(ms_played <= duration_ms, true)", "heard no longer than the track lasts"),
    Rule("heard_within_a_day", "flag", ("play",), f"coalesce(ms_played <= {DAY_MS}, true)", "heard no longer than a day"),
    Rule("position_within_track", "flag", ("skip",), "coalesce(position_ms <= duration_ms, true)", "skipped before the track ended"),
    Rule("skip_names_its_play", "flag", ("skip",), "source_ref is not null", "the play that was skipped is named"),
    Rule(
        "playlist_named",
        "flag",
        ("playlist",),
        "coalesce(playlist_id, '') <> '' or coalesce(playlist_name, '') <> ''",
        "the playlist is named, by id or by title",
    ),
    Rule(
        "playlist_track_named",
        "flag",
        ("playlist",),
        "coalesce(action = 'create', true) or coalesce(track_id, '') <> '' or coalesce(track_name, '') <> ''",
        "what was added or removed is named",
    ),
    Rule("artist_named", "flag", _ON_TRACKS, "coalesce(artist_id, '') <> '' or coalesce(artist_name, '') <> ''", "an artist is named"),
    Rule(
        "produced_after_played",
        "flag",
        _ALL,
        "coalesce(produced_at >= played_at, true)",
        "it was sent after it happened: no clock is ahead",
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
        "country is two capital letters (A to Z) and not ZZ (ISO 3166 leaves it to users; exports say it for unknown), or unknown",
    ),
    *(_values_rule(column) for column in ("source", "content_type", "played_at_basis")),
)
"""All rules, in the order in which they are asked: the first reject rule that a row breaks is the one it is rejected for."""


def list_rules(event_type: str, severity: Severity) -> tuple[Rule, ...]:
    """The rules of one severity that an event of that type is held against."""
    return tuple(rule for rule in RULES if rule.severity == severity and event_type in rule.event_types)
