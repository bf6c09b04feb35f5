"""The records of bench/kafka.py, their topic, and what its results have in common. Not run by itself."""

from __future__ import annotations

import multiprocessing
import statistics
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from soundlake.broker.kafka import TopicPlan
from soundlake.contract import EVENT_SCHEMA, encode_events

PARTITIONS = 4
APPEND = 100_000
Result = dict[str, float]


def make_records(count: int) -> tuple[list[bytes], list[bytes], pa.Table]:
    """Keys, values and the events themselves: plays of about 350 bytes."""
    random = np.random.default_rng(1)
    raw, now = random.bytes(16 * count), int(time.time() * 1_000_000)
    numbers, listeners = random.integers(0, 5_000, count), random.integers(0, 50_000, count)
    columns = {
        "event_id": [str(uuid.UUID(bytes=raw[place : place + 16])) for place in range(0, 16 * count, 16)],
        "event_type": ["play"] * count,
        "user_id": [f"listener-{number:06}" for number in listeners],
        "played_at": now - random.integers(0, 3 * 3_600 * 10**6, count) // 1_000 * 1_000,
        "track_id": [f"sl_track_{number:013}" for number in numbers],
        "track_name": [f"Naïve “Title” no {number}" for number in numbers],
        "artist_name": [f"The Artists {number % 700}" for number in numbers],
        "album_name": [f"Album {number % 900}" for number in numbers],
        "duration_ms": random.integers(60_000, 400_000, count),
        "ms_played": random.integers(0, 400_000, count),
        "device_type": ["mobile"] * count,
        "country": ["DE"] * count,
        "source": ["generator"] * count,
    }
    table = pa.table({name: pa.array(values, EVENT_SCHEMA.field(name).type) for name, values in columns.items()})
    return [name.encode() for name in columns["user_id"]], encode_events(table), table


def make_topic(servers: str, name: str) -> None:
    """A topic as the project makes them."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, PARTITIONS, config=TopicPlan(PARTITIONS).configs)])[name].result(60)
    time.sleep(1)


def delete_topic(servers: str, name: str) -> None:
    """Give its room back."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.delete_topics([name])[name].result(60)


def count_topic(servers: str, name: str) -> int:
    """How many records it holds."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "bench"})
    held = [consumer.get_watermark_offsets(TopicPartition(name, number), timeout=30) for number in range(PARTITIONS)]
    consumer.close()
    return sum(end - begin for begin, end in held)


def run_apart(way: Callable[..., Result], *arguments: object) -> Result:
    """Run it in a process of its own; adds the most memory that this process held."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_tell, args=(queue, way, *arguments))
    process.start()
    result: Result = queue.get(timeout=900)
    process.join()
    return result


def _tell(queue: multiprocessing.Queue[Result], way: Callable[..., Result], *arguments: object) -> None:
    result = way(*arguments)
    queue.put({**result, "mib": read_peak_mib()})


def read_peak_mib() -> float:
    """The most memory of this process: of its own address space, for ru_maxrss is handed down from the process that started it."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def summarize(results: list[Result], events: int) -> dict[str, float]:
    """Median rate with its range, CPU seconds a million events, memory."""
    rates = [events / result["seconds"] for result in results]
    return {
        "events_a_second": round(statistics.median(rates)), "min": round(min(rates)), "max": round(max(rates)),
        "cpu_seconds_a_million": round(statistics.median(result["cpu"] for result in results) / events * 1e6, 2),
        "peak_mib": round(max(result["mib"] for result in results)),
    }  # fmt: skip


def compare(ours: list[Result], beside: list[Result]) -> dict[str, float]:
    """The ratio of the pairs."""
    ratios = [other["seconds"] / own["seconds"] for own, other in zip(ours, beside, strict=True)]
    return {"ratio": round(statistics.median(ratios), 2), "ratio_min": round(min(ratios), 2), "ratio_max": round(max(ratios), 2)}
