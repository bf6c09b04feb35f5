"""The query `now_playing`: what each listener plays now, validated and enriched, Kafka → Kafka in real-time mode.

Real-time mode supports neither Python nor shuffles, so Spark's own functions decode the records here. Every record they accept, the
contract's decoder accepts too (a test compares both); what is rejected is in quarantine, where `processed` gives the reason. With a schema
registry the contract's decoder is needed, so the query runs in micro-batches then.
Delivery is at least once: a reader recognises a repeat by its `event_id`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql.streaming.readwriter import DataStreamWriter

from soundlake.contract.expressions import NORMAL_FORMS
from soundlake.contract.record import FIELDS, Kind
from soundlake.contract.reference_decoder import EARLIEST_PLAYED_AT, PLAYED_AT_LEAD
from soundlake.contract.topics import NOW_PLAYING, NOW_PLAYING_ENRICHED
from soundlake.contract.unknown_fields import MAX_DEPTH
from soundlake.settings import SchemaRegistryAccess
from soundlake.streaming.decoding import decode
from soundlake.streaming.enrichment import derive_local_hour, divide_bounded

NAME = "now_playing"
TRIGGER = "60 seconds"
"""How often the query writes its offsets. Records do not wait for that, but none moves while it happens: a second on two busy cores, since
the plan of this query is large. At 5 seconds that delayed every sixth record. After a kill, up to this much is sent again."""

_FIELD_KINDS = {field.name: field.kind for field in FIELDS if field.name != "extra"}
_SQL_TYPE: dict[Kind, str] = {"text": "string", "timestamp": "string", "integer": "bigint", "boolean": "boolean"}
_UUID = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_TIMESTAMP = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"


def enrich_now_playing(records: DataFrame, registry: SchemaRegistryAccess | None = None) -> DataFrame:
    """From records of user_now_playing to records (key, value) of the events that decode, normalized.

    The value is one JSON object: the event with `completion`, `local_hour`, `is_local_hour_certain` and `logged_at`, the time of its own
    record in the log. Nulls and fields unknown to the contract are left out.
    """
    events = normalize_events(decode_natively(records) if registry is None else decode_framed(records, registry))
    added = {"completion": divide_bounded(f.col("position_ms"), f.col("duration_ms")), **derive_local_hour()}
    enriched = events.withColumns(added)
    timestamps = {name: _format_timestamp(name) for name in ("played_at", "produced_at", "logged_at")}
    value = f.to_json(f.struct(*(timestamps.get(name, f.col(name)).alias(name) for name in enriched.columns)))
    return enriched.select(f.col("user_id").cast("binary").alias("key"), value.alias("value"))


def decode_natively(records: DataFrame) -> DataFrame:
    """The events that decode by Spark's own functions, with `logged_at`; stricter than the contract about rare forms of timestamps."""
    text = f.col("value").cast("string")
    shallow = records.select("timestamp", text.alias("text")).where(f.expr("is_valid_utf8(text)") & _is_shallow())
    listed = shallow.withColumn("listed", f.try_parse_json(f.concat(f.lit("["), "text", f.lit("]")))).where(_is_single_value())
    parsed = listed.select("timestamp", f.try_variant_get("listed", "$[0]", "variant").alias("whole"))
    typed = parsed.where(_has_types()).select(
        *(_read(name, kind).alias(name) for name, kind in _FIELD_KINDS.items()), f.col("timestamp").alias("logged_at")
    )
    event_type = f.coalesce("event_type", f.lit(NOW_PLAYING.default_event_type))
    return typed.withColumn("event_type", event_type).where(_is_now_playing())


def decode_framed(records: DataFrame, registry: SchemaRegistryAccess) -> DataFrame:
    """The events that decode by the contract's decoder, framed or not, in the columns of `decode_natively`."""
    good = decode(records, registry).where(f.col("reason").isNull())
    return good.select(*_FIELD_KINDS, f.col("_logged_at").alias("logged_at"))


def normalize_events(events: DataFrame) -> DataFrame:
    """Names without white space at their ends, devices in the contract's terms, ids in lower case."""
    forms = {name: f.expr(form) for name, form in NORMAL_FORMS.items()}
    return events.withColumns({"event_id": f.lower("event_id"), **forms})


def write_records(enriched: DataFrame, kafka: Mapping[str, str]) -> DataStreamWriter:
    """The stream into its topic, in real-time mode; the checkpoint is still to be named."""
    return write_batches(enriched, kafka).outputMode("update").trigger(realTime=TRIGGER)  # type: ignore[call-overload,no-any-return]  # 4.2.0 takes it, its type stubs do not know


def write_batches(enriched: DataFrame, kafka: Mapping[str, str]) -> DataStreamWriter:
    """The stream into its topic; trigger and checkpoint are still to be named."""
    return enriched.writeStream.format("kafka").options(**kafka).option("topic", NOW_PLAYING_ENRICHED.name)


def _is_shallow() -> Column:
    """No more brackets than levels that are allowed: then it cannot be too deep."""
    return f.length("text") - f.length(f.translate("text", "{[", "")) <= MAX_DEPTH


def _is_single_value() -> Column:
    """One value and nothing after it. Spark stops parsing where a value ends, so trailing text shows only if the value is wrapped.

    Inside a list the trailing text could be a bracket, inside an object a brace; only a comma passes in both, and then the list is longer.
    """
    named = f.try_parse_json(f.concat(f.lit('{"it":'), "text", f.lit("}")))
    return f.col("listed").isNotNull() & named.isNotNull() & f.try_variant_get("listed", "$[1]", "variant").isNull()


def _has_types() -> Column:
    """An object whose known fields are null or of their kind."""
    good = f.schema_of_variant("whole").startswith("OBJECT<")
    for name, kind in _FIELD_KINDS.items():
        found = f.schema_of_variant(f.try_variant_get("whole", f"$.{name}", "variant"))
        good &= found.isNull() | found.isin("VOID", _SQL_TYPE[kind].upper())
        if kind == "timestamp":
            good &= found.isNull() | (found == "VOID") | _read(name, kind).isNotNull()
    return good


def _read(name: str, kind: Kind) -> Column:
    value = f.try_variant_get("whole", f"$.{name}", _SQL_TYPE[kind])
    return f.when(value.rlike(_TIMESTAMP), f.try_to_timestamp(value)) if kind == "timestamp" else value


def _is_now_playing() -> Column:
    played_us = f.unix_micros("played_at")
    in_time = (played_us >= EARLIEST_PLAYED_AT) & (played_us <= f.unix_micros("logged_at") + PLAYED_AT_LEAD)
    return f.col("event_id").rlike(_UUID) & (f.col("event_type") == "now_playing") & in_time


def _format_timestamp(name: str) -> Column:
    return f.date_format(name, "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'")
