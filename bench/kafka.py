"""Kafka on this machine: the producer beside librdkafka's plain loop, and the road into Delta beside the plain ways; one JSON line.

    python bench/kafka.py [--events 600000] [--pairs 3] [--only producer|road]

Producer: records of about 350 bytes by `KafkaBroker.append`, each with its fate, beside `produce()` in a loop without any callback, with
the same settings of librdkafka. Road: `Sink` from Kafka into a Delta table on local disk, exactly once, beside what is the least one can
do: consume, join the values by line breaks, parse (pyarrow.json, polars), write a Parquet file every 200,000 events, without offsets,
checks or commits; and beside pandas with a file every 100 events, as the first plan had it. Each way runs in a process of its own, in pairs
A B A B; rates are events a second by the clock, CPU is that of the process. What was timed is then counted and compared.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from soundlake.broker.kafka import KafkaBroker, TopicPlan
from soundlake.broker.kafka.producer import SETTINGS
from soundlake.contract import EVENT_SCHEMA, encode_events
from soundlake.contract.topics import DLQ, PLAYS
from soundlake.lake import Lake
from soundlake.operations.servers import KAFKA_JARS, KafkaServer, ServerProcess, find_free_block, install_jars
from soundlake.settings import Address, KafkaAccess, load_settings
from soundlake.sink import Sink, SinkLimits

PARTITIONS = 4
APPEND = 100_000
BATCH = 200_000
PANDAS_EVENTS = 20_000
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


def produce_ours(servers: str, topic: str, records: int) -> Result:
    """Every record with its fate; timed after the first one, as the plain loop is."""
    keys, values, _ = make_records(records)
    broker = KafkaBroker(KafkaAccess(servers))
    broker.append(topic, keys[:1], values[:1])
    started, cpu = time.perf_counter(), time.process_time()
    acknowledged = 0
    for start in range(0, records, APPEND):
        acknowledged += broker.append(topic, keys[start : start + APPEND], values[start : start + APPEND]).acknowledged
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "accounted": acknowledged}


def produce_plain(servers: str, topic: str, records: int) -> Result:
    """The loop of the documentation, with our settings and without asking what became of the records."""
    keys, values, _ = make_records(records)
    told = {name.replace("_", "."): value for name, value in SETTINGS.items() if name != "delivery_report_only_error"}
    producer = Producer({"bootstrap.servers": servers, **told})
    producer.produce(topic, values[0], keys[0])
    producer.flush()
    started, cpu = time.perf_counter(), time.process_time()
    produce = producer.produce
    for key, value in zip(keys, values, strict=True):
        while True:
            try:
                produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.5)
    producer.flush()
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "accounted": records}


def store_ours(servers: str, folder: str, _: int) -> Result:
    """The sink as it is in service, until all is stored."""
    lake = Lake(Address(f"file://{folder}", "file", path=Path(folder)))
    lake.ensure_tables()
    broker = KafkaBroker(KafkaAccess(servers))
    sink = Sink(broker, lake, SinkLimits(max_events=BATCH), topics=[PLAYS])
    started, cpu = time.perf_counter(), time.process_time()
    report = sink.run(until_drained=True)
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "events": report.events}


def consume_plainly(servers: str, folder: str, records: int, every: int, write: Callable[[list[bytes], str], int]) -> Result:
    """Consume, and hand over the values every so many events."""
    told = {"bootstrap.servers": servers, "group.id": "bench", "auto.offset.reset": "earliest", "fetch.queue.backoff.ms": 20}
    consumer = Consumer(told)
    started, cpu = time.perf_counter(), time.process_time()
    consumer.assign([TopicPartition(PLAYS.name, number, 0) for number in range(PARTITIONS)])
    waiting, stored, files = list[bytes](), 0, 0
    while stored < records:
        waiting += map(Message.value, consumer.consume(min(every, 10_000), 0) or consumer.consume(1, 0.1))
        if len(waiting) >= every or stored + len(waiting) >= records:
            stored += write(waiting, f"{folder}/part-{files}.parquet")
            waiting, files = [], files + 1
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "events": stored}


def store_by_pyarrow(servers: str, folder: str, records: int) -> Result:
    """Joined lines through pyarrow.json into Parquet."""

    def write(values: list[bytes], path: str) -> int:
        table = pj.read_json(io.BytesIO(b"\n".join(values)), read_options=pj.ReadOptions(block_size=1 << 24))
        pq.write_table(table, path, compression="zstd")
        return len(table)

    return consume_plainly(servers, folder, records, BATCH, write)


def store_by_polars(servers: str, folder: str, records: int) -> Result:
    """Joined lines through polars into Parquet."""

    def write(values: list[bytes], path: str) -> int:
        frame = pl.read_ndjson(io.BytesIO(b"\n".join(values)))
        frame.write_parquet(path, compression="zstd")
        return len(frame)

    return consume_plainly(servers, folder, records, BATCH, write)


def store_by_pandas(servers: str, folder: str, _: int) -> Result:
    """The first plan: a file every 100 events."""

    def write(values: list[bytes], path: str) -> int:
        frame = pd.DataFrame([json.loads(value) for value in values])
        frame.to_parquet(path)
        return len(frame)

    return consume_plainly(servers, folder, PANDAS_EVENTS, 100, write)


def run_apart(way: Callable[..., Result], *arguments: object) -> Result:
    """Run it in a process of its own; adds the most memory it held."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_tell, args=(queue, way, *arguments))
    process.start()
    result: Result = queue.get(timeout=900)
    process.join()
    return result


def _tell(queue: multiprocessing.Queue[Result], way: Callable[..., Result], *arguments: object) -> None:
    result = way(*arguments)
    queue.put({**result, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


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


def bench_producer(servers: str, events: int, pairs: int) -> dict[str, object]:
    """Pairs of both loops, each into a topic of its own, counted afterwards."""
    ours, plain = [], []
    for number in range(pairs):
        for name, way, results in (("ours", produce_ours, ours), ("plain", produce_plain, plain)):
            make_topic(servers, topic := f"bench-{name}-{number}")
            results.append(run_apart(way, servers, topic, events))
            assert count_topic(servers, topic) == events + 1, "a record is missing or doubled"
            assert results[-1]["accounted"] == events, "a record without an account"
            delete_topic(servers, topic)
    return {"ours": summarize(ours, events), "plain_loop": summarize(plain, events), **compare(ours, plain)}


def check_lake(folder: str, sent: pa.Table) -> bool:
    """Whether bronze holds every event as it was sent, once."""
    lake = Lake(Address(f"file://{folder}", "file", path=Path(folder)))
    stored = lake.read("plays", sent.column_names).sort_by("event_id")
    return bool(stored.cast(sent.schema).equals(sent.sort_by("event_id")))


def bench_road(servers: str, events: int, pairs: int, folder: Path) -> dict[str, object]:
    """Rounds of our sink and the plain ways over the same topic."""
    ways = {"ours": store_ours, "pyarrow": store_by_pyarrow, "polars": store_by_polars}
    make_topic(servers, PLAYS.name)
    make_topic(servers, DLQ.name)
    keys, values, sent = make_records(events)
    broker = KafkaBroker(KafkaAccess(servers))
    assert broker.append(PLAYS.name, keys, values).acknowledged == events
    results: dict[str, list[Result]] = {name: [] for name in ways}
    for number in range(pairs):
        for name, way in ways.items():
            (place := folder / f"{name}-{number}").mkdir()
            results[name].append(run_apart(way, servers, str(place), events))
            assert results[name][-1]["events"] == events
        assert check_lake(str(folder / f"ours-{number}"), sent), "bronze is not what was sent"
    strongest = [min((results[name][n] for name in ("pyarrow", "polars")), key=lambda result: result["seconds"]) for n in range(pairs)]
    (place := folder / "pandas").mkdir()
    pandas = run_apart(store_by_pandas, servers, str(place), events)
    return {
        **{name: summarize(found, events) for name, found in results.items()},
        "pandas_a_file_per_100": summarize([pandas], PANDAS_EVENTS),
        **compare(results["ours"], strongest),
    }


def main() -> None:
    """Start a broker, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=600_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", choices=("producer", "road"))
    chosen = parser.parse_args()
    jars = install_jars(KAFKA_JARS, load_settings().downloads / "kafka")
    line: dict[str, object] = {"benchmark": "kafka", "events": chosen.events, "pairs": chosen.pairs}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = KafkaServer(folder / "kafka", find_free_block(), jars)
        with ServerProcess(server, folder):
            if chosen.only != "road":
                line["producer"] = bench_producer(server.address, chosen.events, chosen.pairs)
            if chosen.only != "producer":
                line["road"] = bench_road(server.address, chosen.events, chosen.pairs, folder)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
