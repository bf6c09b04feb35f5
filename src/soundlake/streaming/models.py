"""What the streaming job is told: where the log, the tables and the checkpoints are, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cluster:
    """Where Spark runs. `master` empty: whoever submitted the job has said so (`spark-submit`), and brings the jars too.

    `jars` is a folder of jars beside those of pyspark; `scratch` a folder for what Spark keeps only while it runs. `properties` stand on
    Java's command line, where every user of the machine can read them; `keys` are Hadoop's properties that may not stand there.
    """

    master: str
    scratch: str
    jars: str = ""
    memory: str = "1g"
    shuffle_partitions: int = 2
    properties: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Road:
    """From where to where: Kafka's client properties (`kafka.…`), the tables' and checkpoints' folders as Spark writes them.

    `log_ids` names the log behind each topic, which is another one once the topic is made anew.
    """

    kafka: Mapping[str, str] = field(repr=False)
    processed: str
    silver: str
    checkpoints: str
    log_ids: Mapping[str, str] = field(default_factory=dict)

    def table(self, name: str) -> str:
        """Where a processed table stands."""
        return f"{self.processed}/{name}"

    def checkpoint(self, query: str) -> str:
        """Where a query keeps how far it is."""
        return f"{self.checkpoints}/{query}"


@dataclass(frozen=True)
class StreamLimits:
    """How much at once and in how many tasks (0: one a partition), how often, and how long repeats of an event are recognized."""

    max_records: int = 50_000
    tasks: int = 2
    trigger_seconds: float = 5.0
    live_trigger_seconds: float = 1.0
    repeat_minutes: int = 10
