"""What happens to an event on its way, frame to frame: judged, normalized, freed of repeats."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from soundlake.contract.expressions import NORMAL_FORMS
from soundlake.contract.rules import RULES, Rule

PROCESSED_AT = "processed_at"
"""When the batch that an event came in was begun (UTC); the same when the batch is done again."""

_REPEAT_KEY = "_repeat_key"


def judge(decoded: DataFrame) -> DataFrame:
    """With the rules' word: `reason` names the first reject rule too that an event breaks, `quality_flags` the flag rules, by commas.

    The rules judge an event as it came, in dbt too; so a normal form can never hide what was wrong.
    """
    broken = f.coalesce(*(f.when(_breaks(rule), rule.name) for rule in RULES if rule.severity == "reject"))
    flags = f.concat_ws(",", *(f.when(_breaks(rule), rule.name) for rule in RULES if rule.severity == "flag"))
    judged = decoded.withColumns({"quality_flags": flags, "rule": f.when(f.col("reason").isNull(), broken)})
    return judged.withColumns({"reason": f.coalesce("reason", "rule"), "is_decoded": f.col("reason").isNull()}).drop("rule")


def _breaks(rule: Rule) -> Column:
    return f.col("event_type").isin(*rule.event_types) & ~f.expr(rule.expression)


def normalize(events: DataFrame) -> DataFrame:
    """Names without blanks at their ends, devices by the contract's words; moments are UTC since they were decoded."""
    return events.withColumns({name: f.expr(form) for name, form in NORMAL_FORMS.items()})


def drop_repeats(judged: DataFrame, minutes: int) -> DataFrame:
    """Each event_id once among the good, once among those that a rule rejects; what did not decode stays whole, record by record.

    The watermark runs by the time at which a record is read: by the event's own, or the log's, a backlog or a late event would be behind
    it and be dropped. So an event is known again if it is read within `minutes` of its first copy, however late it is.
    """
    where = f.concat_ws("/", "_topic", "_partition", "_offset")
    key = (
        f.when(~f.col("is_decoded"), where).when(f.col("reason").isNotNull(), f.concat(f.lit("-"), "event_id")).otherwise(f.col("event_id"))
    )
    seen = judged.withColumns({_REPEAT_KEY: key, PROCESSED_AT: f.current_timestamp()})
    fresh = seen.withWatermark(PROCESSED_AT, f"{minutes} minutes").dropDuplicatesWithinWatermark([_REPEAT_KEY])
    return fresh.drop(_REPEAT_KEY)
