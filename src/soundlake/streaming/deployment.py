"""What the settings mean for the streaming job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from soundlake.settings import Settings
from soundlake.streaming import now_playing
from soundlake.streaming.addresses import describe_kafka, describe_keys, describe_store, write_folder
from soundlake.streaming.models import Cluster, Road, StreamLimits

SUBMITTED = "submitted"
"""The master of a job that `spark-submit` starts: what was said there stands."""
_SLOTS = 2
"""Task slots of a local Spark for micro-batches; a query in real-time mode gets its own, one a partition."""


def choose_cluster(settings: Settings, jars: Path, scratch: Path, queries: Sequence[str]) -> Cluster:
    """Where the session of these queries runs."""
    slots = _SLOTS + (settings.topics.partitions if now_playing.NAME in queries else 0)
    master = "" if settings.stream.master == SUBMITTED else settings.stream.master or f"local[{slots}]"
    store, keys = describe_store(settings.lake_address.url, settings.storage_options), describe_keys(settings.storage_options)
    return Cluster(master, str(scratch), str(jars), memory=settings.stream.memory, properties=store, keys=keys)


def find_road(settings: Settings, log_ids: Mapping[str, str]) -> Road:
    """From where to where the queries of this deployment lead; `log_ids` by topic."""
    lake = write_folder(settings.lake_address)
    home = settings.home_folder
    checkpoints = settings.stream.checkpoints or (home / "stream" / "checkpoints").as_uri()
    checkpoints = checkpoints.replace("s3://", "s3a://", 1)
    return Road(describe_kafka(settings.kafka_access), f"{lake}/processed", f"{lake}/silver", checkpoints, log_ids)


def find_limits(settings: Settings) -> StreamLimits:
    """How much at once, and how long repeats are known."""
    tasks = 0 if settings.stream.master == SUBMITTED else _SLOTS
    return StreamLimits(max_records=settings.stream.max_records, tasks=tasks, repeat_minutes=settings.stream.repeat_minutes)
