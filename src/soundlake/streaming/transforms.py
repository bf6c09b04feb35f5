"""Transforms from frame to frame: rules, normal forms, deduplication."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from soundlake.contract.expressions import NORMAL_FORMS
from soundlake.contract.record import SPOTIFY_API_SOURCES
from soundlake.contract.rules import RULES, Rule
from soundlake.lake import Forgotten, Scope

PROCESSED_AT = "processed_at"
"""When the batch of an event began (UTC); the same when the batch is repeated."""

_REPEAT_KEY = "_repeat_key"


def apply_rules(decoded: DataFrame) -> DataFrame:
    """Apply the quality rules: `reason` also names the first reject rule that an event breaks, `quality_flags` the flag rules, by commas.

    The rules see an event as it arrived, in dbt too, so a normal form cannot hide an error.
    """
    broken = f.coalesce(*(f.when(_breaks(rule), rule.name) for rule in RULES if rule.severity == "reject"))
    flags = f.concat_ws(",", *(f.when(_breaks(rule), rule.name) for rule in RULES if rule.severity == "flag"))
    checked = decoded.withColumns({"quality_flags": flags, "rule": f.when(f.col("reason").isNull(), broken)})
    return checked.withColumns({"reason": f.coalesce("reason", "rule"), "is_decoded": f.col("reason").isNull()}).drop("rule")


def _breaks(rule: Rule) -> Column:
    return f.col("event_type").isin(*rule.event_types) & ~f.expr(rule.expression)


def normalize(events: DataFrame) -> DataFrame:
    """Names without white space at their ends, devices in the contract's terms; times are in UTC since decoding."""
    return events.withColumns({name: f.expr(form) for name, form in NORMAL_FORMS.items()})


def leave_out_forgotten(rows: DataFrame, forgotten: Forgotten) -> DataFrame:
    """Without the rows of forgotten listeners; of a record that does not decode, the key names the listener."""
    if not forgotten.hashes:
        return rows
    digest = f.sha2(f.concat(f.lit(forgotten.salt), f.coalesce("user_id", f.col("_key").cast("string"))), 256)
    hashes = {scope: [digest for one, digest in forgotten.hashes if one is scope] for scope in Scope}
    from_api = digest.isin(hashes[Scope.SPOTIFY_API]) & f.col("source").isin(*SPOTIFY_API_SOURCES)
    return rows.where(f.coalesce(~(digest.isin(hashes[Scope.EVERYTHING]) | f.coalesce(from_api, f.lit(False))), f.lit(True)))  # noqa: FBT003  # SQL


def drop_repeats(checked: DataFrame, minutes: int) -> DataFrame:
    """Keep each event_id once among valid events and once among those that a rule rejects; undecodable records are all kept.

    The watermark follows the time at which a record is read. By the event's own time, or the log's, a backlog or a late event would be
    behind the watermark and be dropped. So a repeat is recognised if it is read within `minutes` of the first copy, however late the event
    is.
    """
    where = f.concat_ws("/", "_topic", "_partition", "_offset")
    key = (
        f.when(~f.col("is_decoded"), where).when(f.col("reason").isNotNull(), f.concat(f.lit("-"), "event_id")).otherwise(f.col("event_id"))
    )
    seen = checked.withColumns({_REPEAT_KEY: key, PROCESSED_AT: f.current_timestamp()})
    fresh = seen.withWatermark(PROCESSED_AT, f"{minutes} minutes").dropDuplicatesWithinWatermark([_REPEAT_KEY])
    return fresh.drop(_REPEAT_KEY)
