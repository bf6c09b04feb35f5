"""How fresh the streaming job is with all its queries at once: event → Redis, event → processed table, now-playing topic → topic.

Starts a Kafka and a Redis of its own, `soundlake stream` with all three queries, and publishes at a steady rate: events of all types on a
catalogue of 20,000 tracks, some a second time, some broken. Latencies are of single
events, from the moment of production: to the first look at Redis that counts it (a look every 50 ms), to the Delta commit that holds it
(the log's own time), to the time of its record in the enriched topic (the broker's clock). What was timed is then counted: each event once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import redis
from confluent_kafka import Consumer, TopicPartition

from soundlake.contract.topics import NOW_PLAYING_ENRICHED
from speed_layer.feed import Feed
from speed_layer.stack import PARTITIONS, SpeedLayer, check_tables, read_commits, start_speed_layer, wait_until_drained


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


def measure(rate: int, warm_up: float, seconds: float) -> dict[str, object]:
    """Run everything, discard the warm-up, and report the latencies of what was produced after it."""
    with tempfile.TemporaryDirectory() as folder, start_speed_layer(Path(folder)) as layer:
        feed, seen, stopped = Feed(layer.address, rate), dict[str, float](), threading.Event()
        watch = (layer.settings.cache.get_secret_value(), feed, seen, stopped)
        threads = [threading.Thread(target=feed.run), threading.Thread(target=watch_redis, args=watch)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(warm_up)
            begin, before = time.time(), layer.read_cores()
            time.sleep(seconds)
            end, after, memory = time.time(), layer.read_cores(), layer.read_memory()
            feed.stopped.set()
            threads[0].join()
            wait_until_drained(layer, feed)
        finally:
            feed.stopped.set()
            stopped.set()
            threads[1].join()
        latencies = measure_latencies(layer, feed, seen, (begin, end))
        return {
            "rate": rate, "seconds": seconds, "events": feed.events, "repeated": feed.repeated,
            "rejected": feed.rejected, "lost": 0, "doubled": 0, **latencies,
            "cores": {part: round((after[part] - before[part]) / (end - begin), 2) for part in after}, "memory_mb": memory,
            "load_average": os.getloadavg()[0],
        }  # fmt: skip


def measure_latencies(layer: SpeedLayer, feed: Feed, seen: dict[str, float], between: tuple[float, float]) -> dict[str, object]:
    """Stop the job and measure how long events took to each destination; fails if an event is missing or doubled."""
    layer.job.send_signal(signal.SIGTERM)
    layer.job.wait(120)
    check_tables(layer, feed)
    committed, enriched = read_commits(layer), read_enriched(layer.address)
    assert committed.keys() == feed.plays.keys(), f"{len(feed.plays) - len(committed)} plays are missing"
    assert enriched.keys() == feed.now_playing.keys(), f"{len(feed.now_playing) - len(enriched)} now-playing events are missing"
    return {
        "event_to_redis": describe(feed.probes, seen, between),
        "event_to_processed": describe(feed.plays, committed, between),
        "now_playing_topic_to_topic": describe(feed.now_playing, enriched, between),
    }


def describe(sent: dict[str, float], arrived: dict[str, float], between: tuple[float, float]) -> dict[str, float]:
    """Quantiles in seconds of what was sent between two moments; all of it has to have arrived."""
    waits = np.array([arrived[name] - moment for name, moment in sent.items() if between[0] <= moment < between[1]])
    return {name: round(float(np.quantile(waits, share)), 3) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))}


def main() -> None:
    """One line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=2_000, help="events a second")
    parser.add_argument("--warm-up", type=float, default=60, help="seconds before it counts")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    print(json.dumps(measure(options.rate, options.warm_up, options.seconds)))


if __name__ == "__main__":
    main()
