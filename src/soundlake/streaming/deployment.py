"""Where the job runs, what it reads and writes: derived from the settings, in the notation of Spark, Hadoop and Kafka's Java client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from soundlake.lake.object_store import find_endpoint
from soundlake.settings import Address, KafkaAccess, SchemaRegistryAccess, Settings
from soundlake.streaming import now_playing


@dataclass(frozen=True)
class Cluster:
    """Where Spark runs. An empty `master` means that `spark-submit` chose it, and brings the jars too.

    `jars` is a folder of jars beside those of pyspark; `scratch` a folder for temporary files. `properties` are on Java's command line,
    which every user of the machine can read; `keys` are Hadoop properties that must not be there.
    """

    master: str
    scratch: str
    jars: str = ""
    memory: str = "1g"
    shuffle_partitions: int = 2
    properties: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class StreamLocations:
    """What the job reads and writes: Kafka's client properties (`kafka.…`), the folders of tables and checkpoints as Spark URIs.

    `log_ids` has the id of the log behind each topic; it changes when a topic is recreated. Framed records are read with `registry`.
    With `storage_options` delta-rs reaches the bucket of the tables.
    """

    kafka: Mapping[str, str] = field(repr=False)
    processed: str
    silver: str
    checkpoints: str
    log_ids: Mapping[str, str] = field(default_factory=dict)
    registry: SchemaRegistryAccess | None = None
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def table(self, name: str) -> str:
        """URI of a processed table."""
        return f"{self.processed}/{name}"

    def checkpoint(self, query: str) -> str:
        """URI of a query's checkpoint."""
        return f"{self.checkpoints}/{query}"


@dataclass(frozen=True)
class StreamLimits:
    """Size and rhythm of micro-batches. `tasks` 0: one a partition; `repeat_minutes`: how long a repeat of an event is recognised."""

    max_records: int = 50_000
    tasks: int = 2
    trigger_seconds: float = 5.0
    live_trigger_seconds: float = 1.0
    repeat_minutes: int = 10


_LOGIN_MODULE = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


def make_kafka_options(access: KafkaAccess) -> dict[str, str]:
    """The `kafka.…` options of Spark's source and sink; they may include a password."""
    options = {"bootstrap.servers": access.servers, "security.protocol": access.security_protocol}
    if access.security_protocol.startswith("SASL"):
        user, password = _quote(access.username), _quote(access.password.get_secret_value())
        options["sasl.mechanism"] = access.sasl_mechanism
        options["sasl.jaas.config"] = f"{_LOGIN_MODULE[access.sasl_mechanism]} required username={user} password={password};"
    if access.ca_file:
        options |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": access.ca_file}
    return {f"kafka.{name}": value for name, value in options.items()}


def make_store_properties(uri: str, storage_options: Mapping[str, str]) -> dict[str, str]:
    """Spark's properties for the S3 store behind `uri`, from the options of delta-rs, without keys; empty for a local folder."""
    if "AWS_REGION" not in storage_options:
        return {}
    is_virtual_hosted = storage_options.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST") == "true"
    endpoint = find_endpoint(uri, storage_options).geturl()  # Hadoop adds the bucket to the host name
    found = {
        "endpoint": endpoint,
        "endpoint.region": storage_options["AWS_REGION"],
        "path.style.access": str(bool(endpoint) and not is_virtual_hosted).lower(),
        "connection.ssl.enabled": str(not endpoint.startswith("http://")).lower(),
        # The default of Hadoop 3.5 needs classes that its own jar lacks, and fails on the first file.
        "input.stream.type": "classic",
        "change.detection.mode": "none",  # stores other than Amazon's do not send the headers it needs
    }
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in found.items() if value}


def make_key_properties(storage_options: Mapping[str, str]) -> dict[str, str]:
    """Hadoop's properties with the keys of that store, in clear text: never on a command line or in a log."""
    names = {"access.key": "AWS_ACCESS_KEY_ID", "secret.key": "AWS_SECRET_ACCESS_KEY", "session.token": "AWS_SESSION_TOKEN"}
    return {f"fs.s3a.{name}": storage_options[option] for name, option in names.items() if option in storage_options}


def to_spark_uri(address: Address) -> str:
    """A lake's address as a Spark URI, without a trailing slash."""
    return address.url.replace("s3://", "s3a://", 1).rstrip("/")


def to_delta_uri(uri: str) -> str:
    """A Spark URI as delta-rs takes it: a path, s3://… or gs://…."""
    return uri.removeprefix("file://").replace("s3a://", "s3://", 1)


def _quote(text: str) -> str:
    """A quoted JAAS string; quotes and backslashes are escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


SUBMITTED = "submitted"
"""The master of a job that `spark-submit` starts: its own arguments apply."""
_SLOTS = 2
"""Task slots of a local Spark for micro-batches; a query in real-time mode needs one more for each partition."""


def plan_cluster(settings: Settings, jars: Path, scratch: Path, queries: Sequence[str]) -> Cluster:
    """The cluster on which these queries run."""
    slots = _SLOTS + (settings.topics.partitions if now_playing.NAME in queries else 0)
    master = "" if settings.stream.master == SUBMITTED else settings.stream.master or f"local[{slots}]"
    store, keys = make_store_properties(settings.lake_address.url, settings.storage_options), make_key_properties(settings.storage_options)
    return Cluster(master, str(scratch), str(jars), memory=settings.stream.memory, properties=store, keys=keys)


def find_locations(settings: Settings, log_ids: Mapping[str, str]) -> StreamLocations:
    """What the queries of this deployment read and write; `log_ids` by topic."""
    lake = to_spark_uri(settings.lake_address)
    home = settings.home_folder
    checkpoints = settings.stream.checkpoints or (home / "stream" / "checkpoints").as_uri()
    checkpoints = checkpoints.replace("s3://", "s3a://", 1)
    return StreamLocations(
        make_kafka_options(settings.kafka_access),
        f"{lake}/processed",
        f"{lake}/silver",
        checkpoints,
        log_ids,
        settings.registry.access,
        settings.storage_options,
    )


def find_limits(settings: Settings) -> StreamLimits:
    """The limits set for this deployment."""
    tasks = 0 if settings.stream.master == SUBMITTED else _SLOTS
    return StreamLimits(max_records=settings.stream.max_records, tasks=tasks, repeat_minutes=settings.stream.repeat_minutes)
