"""Records, topics and result figures shared by bench/kafka.py and bench/kafka_baselines.py. Not a program."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from plays import make_plays
from soundlake.broker.kafka import TopicPlan
from soundlake.contract import encode_events

PARTITIONS = 4
APPEND = 100_000
Result = dict[str, float]


def make_records(count: int) -> tuple[list[bytes], list[bytes], pa.Table]:
    """Keys, values and the events themselves: plays of about 350 bytes."""
    table = make_plays(count, int(time.time() * 1_000), 3 * 3_600 * 1_000)
    return [name.encode() for name in table["user_id"].to_pylist()], encode_events(table), table


def make_topic(servers: str, name: str) -> None:
    """Create a topic with the project's settings."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, PARTITIONS, config=TopicPlan(PARTITIONS).configs)])[name].result(60)
    time.sleep(1)  # until the broker has applied it


def delete_topic(servers: str, name: str) -> None:
    """Delete a topic to free its disk space."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.delete_topics([name])[name].result(60)


def count_topic(servers: str, name: str) -> int:
    """How many records it holds."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "bench"})
    held = [consumer.get_watermark_offsets(TopicPartition(name, number), timeout=30) for number in range(PARTITIONS)]
    consumer.close()
    return sum(end - begin for begin, end in held)


def run_apart(way: Callable[..., Result], *arguments: object) -> Result:
    """Run `way` in a process of its own; adds the peak memory of that process."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_put_result, args=(queue, way, *arguments))
    process.start()
    result: Result = queue.get(timeout=900)
    process.join()
    return result


def _put_result(queue: multiprocessing.Queue[Result], way: Callable[..., Result], *arguments: object) -> None:
    result = way(*arguments)
    queue.put({**result, "mib": read_peak_mib()})


def read_peak_mib() -> float:
    """Peak memory of this process from /proc: ru_maxrss would include that of the process that started it."""
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


def compare(ours: list[Result], baseline: list[Result]) -> dict[str, float]:
    """Ratio of the pairs: the baseline's seconds over ours."""
    ratios = [other["seconds"] / own["seconds"] for own, other in zip(ours, baseline, strict=True)]
    return {"ratio": round(statistics.median(ratios), 2), "ratio_min": round(min(ratios), 2), "ratio_max": round(max(ratios), 2)}
