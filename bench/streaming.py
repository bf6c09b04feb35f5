"""How fresh the streaming job is with all its queries at once: event → Redis, event → processed table, now-playing topic → topic.

Starts a Kafka and a Redis of its own, `soundlake stream` with all three queries, and publishes at a steady rate. Latencies are of single
events, from the moment of production: to the first look at Redis that counts it (a look every 50 ms), to the Delta commit that holds it
(the log's own time), to the time of its record in the enriched topic (the broker's clock). What was timed is then counted: each event once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import psutil
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from deltalake import DeltaTable

from soundlake import wiring
from soundlake.contract import TOPICS
from soundlake.contract.topics import NOW_PLAYING, NOW_PLAYING_ENRICHED, PLAYS
from soundlake.operations.servers import KAFKA_JARS, KafkaServer, RedisServer, ServerProcess, find_free_block, install_jars
from soundlake.settings import Settings, extend_environment, load_settings
from soundlake.warehouse.extensions import provide_extensions

PARTITIONS = 4
PROBES_A_SECOND = 5
NOW_PLAYING_A_SECOND = 50
LONGEST_DRAIN_SECONDS = 600


@dataclass
class Feed:
    """Publishes plays at a rate, probes among them, and now-playing events; remembers when."""

    address: str
    rate: int
    stopped: threading.Event = field(default_factory=threading.Event)
    plays: dict[str, float] = field(default_factory=dict)
    probes: dict[str, float] = field(default_factory=dict)
    now_playing: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Until stopped, twenty times a second a twentieth of the rate."""
        producer = Producer({"bootstrap.servers": self.address, "enable.idempotence": True, "linger.ms": 5})
        began, ticks = time.monotonic(), 0
        while not self.stopped.is_set():
            ticks += 1
            now = datetime.now(UTC)
            for place in range(self.rate // 20):
                self._play(producer, now, is_probe=place == 0 and ticks % (20 // PROBES_A_SECOND) == 0)
            for _ in range(NOW_PLAYING_A_SECOND // 20 or 1):
                self._tell_now_playing(producer)
            producer.poll(0)
            time.sleep(max(0.0, began + ticks / 20 - time.monotonic()))
        assert producer.flush(60) == 0

    def _play(self, producer: Producer, now: datetime, *, is_probe: bool) -> None:
        event_id = str(uuid.uuid4())
        track = event_id if is_probe else f"t{len(self.plays) % 500}"
        event = {
            "event_id": event_id, "event_type": "play", "user_id": f"u{len(self.plays) % 5_000}", "track_id": track, "track_name": "Song",
            "artist_id": "a", "artist_name": "Band", "album_name": "Album", "duration_ms": 180_000, "ms_played": 0, "content_type": "track",
            "played_at": f"{now:%Y-%m-%dT%H:%M:%S.%f}Z", "device_type": "mobile", "country": "DE", "source": "generator",
        }  # fmt: skip
        if is_probe:  # a probe counts as a play by its shortness, so that it shows among the tracks of Redis
            event |= {"duration_ms": 1, "ms_played": 1}
            self.probes[track] = time.time()
        self.plays[event_id] = time.time()
        producer.produce(PLAYS.name, json.dumps(event).encode(), str(event["user_id"]).encode())

    def _tell_now_playing(self, producer: Producer) -> None:
        event_id = str(uuid.uuid4())
        event = {"event_id": event_id, "event_type": "now_playing", "user_id": "u", "position_ms": 1, "duration_ms": 9,
                 "played_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}  # fmt: skip
        self.now_playing[event_id] = time.time()
        producer.produce(NOW_PLAYING.name, json.dumps(event).encode(), b"u")


def watch_redis(url: str, feed: Feed, seen: dict[str, float], stopped: threading.Event) -> None:
    """Note when each probe first shows among the tracks of its window."""
    client = redis.Redis.from_url(url)
    while not stopped.wait(0.05):
        waiting = [track for track in list(feed.probes) if track not in seen]
        pipeline = client.pipeline(transaction=False)
        for track in waiting:
            pipeline.zscore(f"soundlake:live:60:{int(feed.probes[track]) // 60 * 60}:tracks", track)
        for track, score in zip(waiting, pipeline.execute(), strict=True):
            if score is not None:
                seen[track] = time.time()


def read_enriched(address: str) -> dict[str, float]:
    """When each record of the enriched topic was written, by the broker's clock."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "bench", "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([TopicPartition(NOW_PLAYING_ENRICHED.name, partition, 0) for partition in range(PARTITIONS)])
    written: dict[str, float] = {}
    open_partitions = PARTITIONS
    while open_partitions:
        message = consumer.poll(5)
        if message is None or message.error():
            open_partitions -= 1
            continue
        written.setdefault(json.loads(message.value())["event_id"], message.timestamp()[1] / 1_000)
    consumer.close()
    return written


def wait_until_drained(settings: Settings, job: subprocess.Popen[bytes], plays: int) -> None:
    """Patience until all plays stand in their table, and a little for the queries beside it; fails if the job ends or never gets there."""
    deadline = time.monotonic() + LONGEST_DRAIN_SECONDS
    while count_plays(settings) < plays:
        assert job.poll() is None, (settings.home.parent / "stream.log").read_text()[-3_000:]
        assert time.monotonic() < deadline, f"{count_plays(settings)} of {plays} plays after {LONGEST_DRAIN_SECONDS} s"
        time.sleep(2)
    time.sleep(5)


def count_plays(settings: Settings) -> int:
    """How many plays the processed table holds, by its log."""
    actions = DeltaTable(f"{settings.home}/lake/processed/plays").get_add_actions(flatten=True)
    return int(np.sum(actions.column("num_records").to_pylist()))


def read_commits(settings: Settings) -> dict[str, float]:
    """When each play was committed to its processed table; fails if one stands there twice."""
    uri = f"{settings.home}/lake/processed/plays"
    table = DeltaTable(uri)
    committed_at = {commit["version"]: commit["timestamp"] / 1_000 for commit in table.history()}
    added: dict[str, float] = {}
    for version, moment in committed_at.items():
        for line in (Path(uri) / "_delta_log" / f"{version:020}.json").read_text().splitlines():
            if "add" in (action := json.loads(line)):
                added[action["add"]["path"]] = moment
    config = {"extension_directory": str(provide_extensions(settings.home / "extensions")), "autoinstall_known_extensions": "false"}
    with duckdb.connect(config=config) as connection:
        connection.execute("load delta")
        rows = connection.execute(f"select event_id, filename from delta_scan('{uri}', filename = true)").fetchall()
    assert len({event_id for event_id, _ in rows}) == len(rows), "an event stands twice"
    return {event_id: next(moment for path, moment in added.items() if name.endswith(path)) for event_id, name in rows}


@contextmanager
def start_stack(folder: Path) -> Iterator[tuple[Settings, subprocess.Popen[bytes]]]:
    """Kafka, Redis and the streaming job, in a folder."""
    downloads = load_settings().downloads.expanduser().absolute()
    with ExitStack() as stack:
        jars = install_jars(KAFKA_JARS, downloads / "kafka")
        kafka = stack.enter_context(ServerProcess(KafkaServer(folder / "kafka", find_free_block(), jars), folder))
        cache = stack.enter_context(ServerProcess(RedisServer(folder / "redis", find_free_block(), memory="512mb"), folder))
        address, url = f"kafka://{kafka.server.address}", cache.server.url
        settings = Settings(home=folder / "home", broker=address, cache=url, downloads=downloads, topic_partitions=PARTITIONS)
        settings.home.mkdir()
        with closing(wiring.open_kafka(settings)) as broker:
            broker.create_topics(TOPICS, partitions=PARTITIONS)
        environment = extend_environment({"SOUNDLAKE_HOME": str(settings.home), "SOUNDLAKE_BROKER": address, "SOUNDLAKE_CACHE": url})
        log = stack.enter_context((folder / "stream.log").open("wb"))
        job = subprocess.Popen([sys.executable, "-m", "soundlake.cli.app", "stream"], env=environment, stdout=log, stderr=log)
        try:
            yield settings, job
        finally:
            job.kill()
            job.wait()


def measure(rate: int, warm_up: float, seconds: float) -> dict[str, object]:
    """Run everything, throw the warm-up away, and tell the latencies of what was produced after it."""
    with tempfile.TemporaryDirectory() as folder, start_stack(Path(folder)) as (settings, job):
        address, url = settings.broker.removeprefix("kafka://"), settings.cache.get_secret_value()
        feed, seen, stopped = Feed(address, rate), dict[str, float](), threading.Event()
        threads = [threading.Thread(target=feed.run), threading.Thread(target=watch_redis, args=(url, feed, seen, stopped))]
        for thread in threads:
            thread.start()
        time.sleep(warm_up)
        begin = time.time()
        processor_before = sum_processor_seconds(job.pid)
        time.sleep(seconds)
        end, processor = time.time(), sum_processor_seconds(job.pid) - processor_before
        memory = sum_memory(job.pid)
        feed.stopped.set()
        threads[0].join()
        wait_until_drained(settings, job, len(feed.plays))
        stopped.set()
        threads[1].join()
        job.send_signal(signal.SIGTERM)
        job.wait(120)
        committed, enriched = read_commits(settings), read_enriched(address)
        assert committed.keys() == feed.plays.keys(), f"{len(feed.plays) - len(committed)} plays are missing"
        assert enriched.keys() == feed.now_playing.keys(), f"{len(feed.now_playing) - len(enriched)} now-playing events are missing"
        return {
            "rate": rate, "seconds": seconds, "events": len(feed.plays), "lost": 0, "doubled": 0,
            "event_to_redis": describe(feed.probes, seen, begin, end), "event_to_processed": describe(feed.plays, committed, begin, end),
            "now_playing_topic_to_topic": describe(feed.now_playing, enriched, begin, end),
            "job_cores": round(processor / (end - begin), 2), "job_memory_mb": memory,
            "load_average": os.getloadavg()[0],
        }  # fmt: skip


def describe(sent: dict[str, float], arrived: dict[str, float], begin: float, end: float) -> dict[str, float]:
    """Quantiles in seconds of what was sent between two moments; all of it has to have arrived."""
    waits = np.array([arrived[name] - moment for name, moment in sent.items() if begin <= moment < end])
    return {name: round(float(np.quantile(waits, share)), 3) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))}


def sum_processor_seconds(pid: int) -> float:
    """Processor time of a process and all below it."""
    return sum(sum(process.cpu_times()[:2]) for process in list_tree(pid))


def sum_memory(pid: int) -> int:
    """Resident megabytes of a process and all below it."""
    return sum(process.memory_info().rss for process in list_tree(pid)) // 2**20


def list_tree(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def main() -> None:
    """One line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=2_000, help="plays a second")
    parser.add_argument("--warm-up", type=float, default=120, help="seconds before it counts")
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    print(json.dumps(measure(options.rate, options.warm_up, options.seconds)))


if __name__ == "__main__":
    main()
