"""Settings grouped by the part that reads them; each group is one model with a prefix of its own in the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from platformdirs import user_cache_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsGroup(BaseSettings):
    """A group of settings; the variable of a field is the prefix and the field's name, or the field's alias."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, populate_by_name=True)

    def __init__(self, **values: object) -> None:
        """Raises TypeError for a value that no field takes; only files and the environment may hold what others read."""
        fields = {name for field, info in type(self).model_fields.items() for name in (field, str(info.validation_alias))}
        if unknown := {name for name in values if not name.startswith("_")} - fields:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        super().__init__(**values)  # type: ignore[arg-type]  # checked by the model


class TopicSettings(SettingsGroup):
    """Topics that the project creates."""

    model_config = SettingsConfigDict(env_prefix="SOUNDLAKE_TOPIC_")

    partitions: Annotated[int, Field(ge=1, le=1024, description="partitions of a new topic")] = 4
    retention_hours: Annotated[
        int, Field(ge=1, description="how long the log keeps a record; the embedded log only deletes what the lake holds")
    ] = 168

    @property
    def retention_ms(self) -> int:
        """How long Kafka keeps a record, in milliseconds."""
        return self.retention_hours * 3_600_000


class BronzeSettings(SettingsGroup):
    """The bronze tables."""

    model_config = SettingsConfigDict(env_prefix="SOUNDLAKE_BRONZE_")

    retention_days: Annotated[int, Field(ge=0, description="days after which a row leaves bronze; 0 keeps it for good")] = 0


class SinkSettings(SettingsGroup):
    """When the sink closes a batch: by count, bytes or age, whichever comes first."""

    model_config = SettingsConfigDict(env_prefix="SOUNDLAKE_SINK_")

    max_events: Annotated[int, Field(ge=1, description="a batch is closed at this many events")] = 200_000
    max_bytes: Annotated[int, Field(ge=1024, description="a batch is closed at this many bytes of values")] = 128 * 1024 * 1024
    max_seconds: Annotated[float, Field(gt=0, description="a batch is closed at this age, in seconds")] = 1.0


class TransformSettings(SettingsGroup):
    """Builds of the warehouse."""

    model_config = SettingsConfigDict(env_prefix="SOUNDLAKE_TRANSFORM_")

    every_seconds: Annotated[float, Field(gt=0, description="how often gold is refreshed while services run")] = 60.0
    duckdb_memory: str = Field(
        "8GB", validation_alias="SOUNDLAKE_DUCKDB_MEMORY", description="memory limit of a build, in DuckDB's notation"
    )


class StreamSettings(SettingsGroup):
    """The Spark job."""

    model_config = SettingsConfigDict(env_prefix="SOUNDLAKE_STREAM_")

    master: str = Field("", description="where Spark runs: local[N]; `submitted`: as given to spark-submit; default: this machine")
    memory: str = Field("1g", description="heap of a local Spark, as Java writes it")
    checkpoints: str = Field("", description="folder of the streaming queries' checkpoints; default: under home")
    max_records: Annotated[int, Field(ge=1, description="most records in a micro-batch")] = 50_000
    repeat_minutes: Annotated[int, Field(ge=1, description="how long a repeat of an event is recognised; the state grows with it")] = 10


class ServerSettings(SettingsGroup):
    """Servers that run on this machine."""

    model_config = SettingsConfigDict(env_prefix="SOUNDLAKE_")

    host: str = Field("127.0.0.1", description="address that servers bind to")
    dashboard_port: Annotated[int, Field(ge=1, le=65535, description="the dashboard")] = 8501
    fake_spotify_port: Annotated[int, Field(ge=1, le=65535, description="the fake Spotify")] = 8889
    kafka_port: Annotated[int, Field(ge=1, le=65533, description="local Kafka: this port and the next two")] = 9092
    object_store_port: Annotated[int, Field(ge=1, le=55526, description="local object store: ten ports from this one on")] = 8333
    redis_port: Annotated[int, Field(ge=1, le=65535, description="local Redis")] = 6379
    downloads: Path = Field(
        default_factory=lambda: user_cache_path("soundlake"), description="jars of Kafka and Spark, shared by all homes of this user"
    )


class MetricsSettings(SettingsGroup):
    """Prometheus metrics of a process."""

    model_config = SettingsConfigDict(env_prefix="SOUNDLAKE_METRICS_")

    port: Annotated[int, Field(ge=0, le=65500, description="port of the metrics; 0: off")] = 0
    host: str = Field("127.0.0.1", description="address that the metrics bind to")
