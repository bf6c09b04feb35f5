"""What an event is given on its way: what is known of its track, how much of it was heard, the hour where the listener is, the sitting."""

from __future__ import annotations

from itertools import chain

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from soundlake.contract.expressions import HEARD_MS, IS_LISTEN, ELAPSED_MS
from soundlake.streaming.places import list_zones

TRACK_DDL = "track_id STRING, song_key STRING, duration_ms BIGINT, first_seen_at TIMESTAMP"
"""What is asked of silver_tracks: one row a track."""

ENRICHED_DDL = (
    "song_key STRING, track_first_seen_at TIMESTAMP, heard_ms BIGINT, is_listen BOOLEAN, completion DOUBLE, ended_at TIMESTAMP, "
    "local_hour INT, is_local_hour_certain BOOLEAN, session_key STRING, played_date DATE"
)
"""What `enrich` adds."""

SITTING_MINUTES = 30


def enrich(events: DataFrame, tracks: DataFrame) -> DataFrame:
    """The events with the columns of ENRICHED_DDL; `tracks` is the dimension as it is known now (TRACK_DDL).

    `completion` is the part of the track that was heard, at most 1; null where it or the length is not known, to silver either.
    `session_key` is the source's session, else the listener's half hour: what lies in one was one sitting as far as a stream can tell at
    once (gold's listening_sessions looks at the gaps). `local_hour` follows the country; of a country with several times it is that of
    most of its people, and not certain.
    """
    known = tracks.select(
        f.col("track_id").alias("_track"), "song_key", f.col("first_seen_at").alias("track_first_seen_at"),
        f.col("duration_ms").alias("_known_ms"),
    )  # fmt: skip
    joined = events.join(known, f.col("track_id") == f.col("_track"), "left")
    return joined.withColumns(
        {
            "heard_ms": f.when(f.col("event_type") == "play", f.expr(HEARD_MS)),
            "is_listen": f.when(f.col("event_type") == "play", f.expr(IS_LISTEN)),
            "completion": divide_bounded(f.col("ms_played"), f.coalesce("duration_ms", "_known_ms")),
            "ended_at": f.expr(f"timestampadd(millisecond, {ELAPSED_MS}, played_at)"),
            **tell_hour(),
            "session_key": f.coalesce("session_id", _name_half_hour()),
            "played_date": f.to_date("played_at"),
        }
    ).drop("_track", "_known_ms")


def divide_bounded(part: Column, whole: Column) -> Column:
    """The part of the whole, at most 1; null where that makes no sense."""
    return f.when((part >= 0) & (whole > 0), f.least(part / whole, f.lit(1.0)))


def tell_hour() -> dict[str, Column]:
    """`local_hour` and `is_local_hour_certain` of an event's `played_at` and `country`."""
    zones = list_zones()
    zone = f.create_map(*(f.lit(text) for text in chain.from_iterable((country, zone) for country, (zone, _) in zones.items())))
    certain = [country for country, (_, is_certain) in zones.items() if is_certain]
    known = f.col("country").isin(*zones)
    return {
        "local_hour": f.when(known, f.hour(f.from_utc_timestamp("played_at", zone[f.col("country")]))),
        "is_local_hour_certain": f.when(known, f.col("country").isin(*certain)),
    }


def _name_half_hour() -> Column:
    half_hour = f.floor(f.unix_seconds("played_at") / (SITTING_MINUTES * 60)).cast("string")
    return f.concat_ws("/", "user_id", half_hour)
