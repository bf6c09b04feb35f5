"""Kafka, Redis and `soundlake stream` in a folder of their own, and what can be measured from outside."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from tests.server_process import ServerProcess

from soundlake import wiring
from soundlake.contract import TOPICS
from soundlake.contract.topics import PLAYS
from soundlake.operations.servers import KAFKA_JARS, KafkaServer, RedisServer, find_free_block, install_jars
from soundlake.settings import Settings, extend_environment, load_settings
from soundlake.streaming.processed_tables import QUARANTINE
from soundlake.warehouse.extensions import provide_extensions
from speed_layer.feed import TRACKS, Feed, find_track

PARTITIONS = 4
LONGEST_DRAIN_SECONDS = 600


@dataclass(frozen=True)
class SpeedLayer:
    """A running job and its servers; `metrics_port` serves the job's metrics."""

    settings: Settings
    job: subprocess.Popen[bytes]
    kafka: psutil.Process
    redis: psutil.Process
    metrics_port: int

    @property
    def address(self) -> str:
        """Kafka's host and port."""
        return self.settings.broker.removeprefix("kafka://")

    @property
    def plays(self) -> str:
        """The folder of the processed table of plays."""
        return self.find_table(PLAYS.table)

    def find_table(self, table: str) -> str:
        """The folder of a processed table."""
        return f"{self.settings.home}/lake/processed/{table}"

    def check(self) -> None:
        """Fail with the end of its log if the job has ended."""
        assert self.job.poll() is None, (self.settings.home.parent / "stream.log").read_text()[-3_000:]

    def list_parts(self) -> dict[str, list[psutil.Process]]:
        """The processes by what they are: java, python (its workers too), kafka, redis."""
        job = [psutil.Process(self.job.pid), *psutil.Process(self.job.pid).children(recursive=True)]
        java = [process for process in job if read_name(process) == "java"]
        return {"java": java, "python": [process for process in job if process not in java], "kafka": [self.kafka], "redis": [self.redis]}

    def read_cores(self) -> dict[str, float]:
        """Processor seconds so far, by part, including workers that have ended."""
        return {part: sum(map(read_processor_seconds, found)) for part, found in self.list_parts().items()}

    def read_memory(self) -> dict[str, int]:
        """Resident megabytes, by part."""
        return {part: sum(map(read_resident_bytes, found)) // 2**20 for part, found in self.list_parts().items()}


def read_name(process: psutil.Process) -> str:
    """The program's name; empty for one that ended meanwhile."""
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def read_processor_seconds(process: psutil.Process) -> float:
    """What it and its children that have ended used; nothing of one that ended meanwhile."""
    try:
        return float(sum(process.cpu_times()[:4]))
    except psutil.Error:
        return 0.0


def read_resident_bytes(process: psutil.Process) -> int:
    """What it holds in memory; nothing of one that ended meanwhile."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


@contextmanager
def start_speed_layer(folder: Path, **variables: str) -> Iterator[SpeedLayer]:
    """Kafka, Redis and the streaming job with all its queries, in a folder; `variables` for the job's environment."""
    downloads = load_settings().servers.downloads.expanduser().absolute()
    with ExitStack() as stack:
        jars = install_jars(KAFKA_JARS, downloads / "kafka")
        kafka = stack.enter_context(ServerProcess(KafkaServer(folder / "kafka", find_free_block(), jars), folder))
        cache = stack.enter_context(ServerProcess(RedisServer(folder / "redis", find_free_block(), memory="512mb"), folder))
        address, url = f"kafka://{kafka.server.address}", cache.server.url
        settings = Settings(
            _env_file=None,
            home=folder / "home",
            broker=address,
            cache=url,
            servers={"downloads": downloads},
            topics={"partitions": PARTITIONS},
        )
        settings.home.mkdir()
        write_tracks(settings)
        with closing(wiring.open_kafka(settings)) as broker:
            broker.create_topics(TOPICS, partitions=PARTITIONS)
        metrics_port = find_free_block()
        chosen = {
            "SOUNDLAKE_HOME": str(settings.home), "SOUNDLAKE_BROKER": address, "SOUNDLAKE_CACHE": url,
            "SOUNDLAKE_DOWNLOADS": str(downloads), "SOUNDLAKE_METRICS_PORT": str(metrics_port),
            "SOUNDLAKE_TOPIC_PARTITIONS": str(PARTITIONS), **variables,
        }  # fmt: skip
        log = stack.enter_context((folder / "stream.log").open("wb"))
        command = [sys.executable, "-m", "soundlake.cli.app", "stream"]
        job = subprocess.Popen(command, env=extend_environment(chosen), stdout=log, stderr=subprocess.STDOUT)
        try:
            yield SpeedLayer(settings, job, psutil.Process(kafka.pid), psutil.Process(cache.pid), metrics_port)
        finally:
            job.kill()
            job.wait()


def wait_until_drained(layer: SpeedLayer, feed: Feed) -> None:
    """Wait until every table holds its events, and five seconds for the other queries; fails if the job ends or the time is over."""
    deadline, wanted = (
        time.monotonic() + LONGEST_DRAIN_SECONDS,
        {**{table: len(sent) for table, sent in feed.sent.items()}, QUARANTINE: feed.rejected},
    )
    layer.check()
    while missing := {table: count - count_rows(layer, table) for table, count in wanted.items() if count_rows(layer, table) < count}:
        layer.check()
        assert time.monotonic() < deadline, f"after {LONGEST_DRAIN_SECONDS} s there are still to come: {missing}"
        time.sleep(2)
    time.sleep(5)


def count_rows(layer: SpeedLayer, table: str) -> int:
    """How many rows a processed table holds, by its log."""
    return int(np.sum(DeltaTable(layer.find_table(table)).get_add_actions(flatten=True).column("num_records").to_pylist()))


def check_tables(layer: SpeedLayer, feed: Feed) -> None:
    """Fail unless DuckDB finds every event of the feed once in its table, and each rejected record in quarantine."""
    found = {table: count_events(layer, table) for table in feed.sent}
    wanted = {table: (len(sent), len(sent)) for table, sent in feed.sent.items()}
    assert found == wanted, f"rows and events: {found}, sent: {wanted}"
    assert count_events(layer, QUARANTINE)[0] == feed.rejected, (
        f"{count_events(layer, QUARANTINE)[0]} in quarantine, {feed.rejected} expected"
    )


def read_commits(layer: SpeedLayer) -> dict[str, float]:
    """When each play was committed to its processed table, whatever was compacted since; fails if one is there twice."""
    committed: dict[str, float] = {}
    for log in sorted(Path(layer.plays, "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in log.read_text().splitlines()]
        moment = next(action["commitInfo"]["timestamp"] for action in actions if "commitInfo" in action) / 1_000
        for path in (action["add"]["path"] for action in actions if action.get("add", {}).get("dataChange")):
            rows = pq.read_table(f"{layer.plays}/{path}", columns=["event_id"], partitioning=None)
            committed |= dict.fromkeys(rows["event_id"].to_pylist(), moment)
    found = count_events(layer, PLAYS.table)
    assert found == (len(committed), len(committed)), f"rows and events: {found}, committed: {len(committed)}"
    return committed


def count_events(layer: SpeedLayer, table: str) -> tuple[int, int]:
    """Rows and events of a processed table, as DuckDB reads it; equal if no event is there twice."""
    extensions = str(provide_extensions(layer.settings.home / "extensions"))
    with duckdb.connect(config={"extension_directory": extensions, "autoinstall_known_extensions": "false"}) as connection:
        connection.execute("load delta")
        counts = connection.execute(f"select count(*), count(distinct event_id) from delta_scan('{layer.find_table(table)}')").fetchone()
        assert counts is not None
        return counts


def write_tracks(settings: Settings) -> None:
    """The tracks of the feed as the warehouse publishes them."""
    first_seen = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [{**find_track(number), "song_key": f"song {number}", "first_seen_at": first_seen} for number in range(TRACKS)]
    write_deltalake(f"{settings.home}/lake/silver/silver_tracks", pa.Table.from_pylist(rows))
