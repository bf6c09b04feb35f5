"""What bench/kafka.py times, each in a process of its own: our code and the baselines, on the same records. Not a program."""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl
import psutil
import pyarrow.json as pj
import pyarrow.parquet as pq
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from pyspark.sql import SparkSession, functions

from kafka_records import APPEND, PARTITIONS, make_records
from soundlake.broker.kafka import KafkaBroker
from soundlake.broker.kafka.producer import SETTINGS
from soundlake.contract.schemas import build_spark_ddl
from soundlake.contract.topics import PLAYS
from soundlake.lake import Lake
from soundlake.operations.servers.jars import SPARK_JARS, install_jars
from soundlake.settings import Address, KafkaAccess, load_settings
from soundlake.sink import Sink, SinkLimits
from soundlake.streaming.deployment import Cluster
from soundlake.streaming.session import open_session
from soundlake.wiring.sink import allocate_with_jemalloc

BATCH = 200_000
PANDAS_EVENTS = 20_000
Result = dict[str, float]


def produce_ours(servers: str, topic: str, records: int) -> Result:
    """`KafkaBroker.append`; the first record is not timed, as in the plain loop."""
    keys, values, _ = make_records(records)
    broker = KafkaBroker(KafkaAccess(servers))
    broker.append(topic, keys[:1], values[:1])
    started, cpu = time.perf_counter(), time.process_time()
    acknowledged = 0
    for start in range(0, records, APPEND):
        acknowledged += broker.append(topic, keys[start : start + APPEND], values[start : start + APPEND]).acknowledged
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "accounted": acknowledged}


def produce_plain(servers: str, topic: str, records: int) -> Result:
    """The produce() loop of librdkafka's documentation, with our settings and without delivery reports."""
    keys, values, _ = make_records(records)
    settings = {name.replace("_", "."): value for name, value in SETTINGS.items() if name != "delivery_report_only_error"}
    producer = Producer({"bootstrap.servers": servers, **settings})
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
    """The sink with its production settings, until all records are stored."""
    allocate_with_jemalloc()
    lake = Lake(Address(f"file://{folder}", "file", path=Path(folder)))
    lake.ensure_tables()
    broker = KafkaBroker(KafkaAccess(servers))
    sink = Sink(broker, lake, SinkLimits(max_events=BATCH), topics=[PLAYS])
    started, cpu = time.perf_counter(), time.process_time()
    report = sink.run(until_drained=True)
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "events": report.events}


def consume_plainly(servers: str, folder: str, records: int, every: int, write: Callable[[list[bytes], str], int]) -> Result:
    """Consume, and call `write` with the values of every `every` events."""
    settings = {"bootstrap.servers": servers, "group.id": "bench", "auto.offset.reset": "earliest", "fetch.queue.backoff.ms": 20}
    consumer = Consumer(settings)
    started, cpu = time.perf_counter(), time.process_time()
    consumer.assign([TopicPartition(PLAYS.name, number, 0) for number in range(PARTITIONS)])
    buffered, stored, files = list[bytes](), 0, 0
    while stored < records:
        buffered += map(Message.value, consumer.consume(min(every, 10_000), 0) or consumer.consume(1, 0.1))
        if len(buffered) >= every or stored + len(buffered) >= records:
            stored += write(buffered, f"{folder}/part-{files}.parquet")
            buffered, files = [], files + 1
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
    """Pandas with a file every 100 events, as in the project's first plan."""

    def write(values: list[bytes], path: str) -> int:
        frame = pd.DataFrame([json.loads(value) for value in values])
        frame.to_parquet(path)
        return len(frame)

    return consume_plainly(servers, folder, PANDAS_EVENTS, 100, write)


def store_by_spark(servers: str, folder: str, _: int) -> Result:
    """Spark on two cores, from_json into a Delta table; the second run of the session is timed, the first is `first_run`."""
    jars = install_jars(SPARK_JARS, load_settings().servers.downloads.expanduser().absolute() / "spark")
    with tempfile.TemporaryDirectory() as scratch:
        session = open_session(Cluster("local[2]", scratch, str(jars), memory="3g"))
        cold, _cpu = _run_spark(session, servers, f"{folder}/cold")
        warm, cpu = _run_spark(session, servers, f"{folder}/warm")
        events = session.read.format("delta").load(f"{folder}/warm/table").count()
        java_mib = sum(process.memory_info().rss for process in psutil.Process().children(recursive=True)) / 2**20
        session.stop()
    return {"seconds": warm, "cold_seconds": cold, "cpu": cpu, "events": events, "java_mib": java_mib}


def _run_spark(session: SparkSession, servers: str, folder: str) -> tuple[float, float]:
    """Wall-clock and CPU seconds of reading the whole topic once."""
    started, cpu = time.perf_counter(), _read_cpu()
    records = session.readStream.format("kafka").option("kafka.bootstrap.servers", servers).option("subscribe", PLAYS.name)
    values = records.option("startingOffsets", "earliest").load().select(functions.col("value").cast("string"))
    events = values.select(functions.from_json("value", build_spark_ddl()).alias("event")).select("event.*")
    stream = events.writeStream.format("delta").option("checkpointLocation", f"{folder}/checkpoint")
    stream.trigger(availableNow=True).start(f"{folder}/table").awaitTermination()
    return time.perf_counter() - started, _read_cpu() - cpu


def _read_cpu() -> float:
    """CPU seconds of this process and its Java child."""
    return sum(sum(process.cpu_times()[:2]) for process in (psutil.Process(), *psutil.Process().children(recursive=True)))
