"""Columns that an event gains: what is known of its track, how much of it was heard, the listener's local hour, the session."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import chain

import pytz
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f

from soundlake.contract.expressions import ELAPSED_MS, HEARD_MS, IS_LISTEN

TRACK_DDL = "track_id STRING, song_key STRING, duration_ms BIGINT, first_seen_at TIMESTAMP"
"""The columns read from silver_tracks; one row a track."""

ENRICHED_DDL = (
    "song_key STRING, track_first_seen_at TIMESTAMP, heard_ms BIGINT, is_listen BOOLEAN, completion DOUBLE, ended_at TIMESTAMP, "
    "local_hour INT, is_local_hour_certain BOOLEAN, session_key STRING, played_date DATE"
)
"""What `enrich` adds."""

SESSION_MINUTES = 30


def enrich(events: DataFrame, tracks: DataFrame) -> DataFrame:
    """Add the columns of ENRICHED_DDL to the events; `tracks` is the current dimension (TRACK_DDL).

    `completion` is the fraction of the track that was heard, at most 1; null if the time heard or the length is unknown.
    `session_key` is the source's session, else the listener's half hour, the best a stream can decide at once (gold's listening_sessions
    uses the gaps). `local_hour` follows the country; for a country with several time zones it is that of most of its people, and uncertain.
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
            **derive_local_hour(),
            "session_key": f.coalesce("session_id", _name_half_hour()),
            "played_date": f.to_date("played_at"),
        }
    ).drop("_track", "_known_ms")


def divide_bounded(part: Column, whole: Column) -> Column:
    """`part / whole`, at most 1; null for a negative part or a whole that is not positive."""
    return f.when((part >= 0) & (whole > 0), f.least(part / whole, f.lit(1.0)))


def derive_local_hour() -> dict[str, Column]:
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
    half_hour = f.floor(f.unix_seconds("played_at") / (SESSION_MINUTES * 60)).cast("string")
    return f.concat_ws("/", "user_id", half_hour)


_LARGEST_ZONE = {
    "AR": "America/Argentina/Buenos_Aires", "AU": "Australia/Sydney", "BR": "America/Sao_Paulo", "CA": "America/Toronto",
    "CD": "Africa/Kinshasa", "CL": "America/Santiago", "CN": "Asia/Shanghai", "EC": "America/Guayaquil", "ES": "Europe/Madrid",
    "FM": "Pacific/Pohnpei", "GL": "America/Nuuk", "ID": "Asia/Jakarta", "KI": "Pacific/Tarawa", "KZ": "Asia/Almaty",
    "MN": "Asia/Ulaanbaatar", "MX": "America/Mexico_City", "NZ": "Pacific/Auckland", "PF": "Pacific/Tahiti",
    "PG": "Pacific/Port_Moresby", "PS": "Asia/Gaza", "PT": "Europe/Lisbon", "RU": "Europe/Moscow", "UA": "Europe/Kyiv",
    "UM": "Pacific/Wake", "US": "America/New_York",
}  # fmt: skip
"""Countries with several zones: the one in which most of their people live."""

_SAMPLES = tuple(datetime(2026, month, 15, 12, tzinfo=UTC) for month in (1, 4, 7, 10))


def list_zones() -> dict[str, tuple[str, bool]]:
    """By country code: its zone (of several the one where most people live), and whether all its zones have the same time."""
    return {
        country: (_LARGEST_ZONE.get(country, zones[0]), len({_read_offsets(zone) for zone in zones}) == 1)
        for country, zones in pytz.country_timezones.items()
    }


def _read_offsets(zone: str) -> tuple[str, ...]:
    return tuple(moment.astimezone(pytz.timezone(zone)).strftime("%z") for moment in _SAMPLES)


_COLUMNS = [column.strip().split(" ")[0] for column in TRACK_DDL.split(",")]


class TrackDimension:
    """silver_tracks as last published to the lake, read again every `refresh_seconds`; empty while there is no silver yet."""

    def __init__(self, session: SparkSession, uri: str, *, refresh_seconds: float = 300.0) -> None:
        self._session, self._uri, self._refresh_seconds = session, uri, refresh_seconds
        self._frame: DataFrame | None = None
        self._read_at = 0.0

    def read(self) -> DataFrame:
        """The dimension, at most `refresh_seconds` old (TRACK_DDL)."""
        if self._frame is None or time.monotonic() - self._read_at > self._refresh_seconds:
            if self._frame is not None:
                self._frame.unpersist()
            self._frame, self._read_at = self._load(), time.monotonic()
        return self._frame

    def _load(self) -> DataFrame:
        try:
            return self._session.read.format("delta").load(self._uri).select(*_COLUMNS).persist()
        except AnalysisException:  # there is none, or it has the columns of another version
            nothing = ", ".join(f"cast(null as {column.split()[1]}) as {column.split()[0]}" for column in TRACK_DDL.split(","))
            return self._session.sql(f"select {nothing} where false")  # Spark then removes the join from the plan
