"""Kafka on this machine: the producer compared with librdkafka's plain loop, the pipeline into Delta with baselines; one JSON line.

    python bench/kafka.py [--events 1000000] [--pairs 3] [--large 3] [--only producer|road] [--without-spark]

`producer`: records of about 350 bytes by `KafkaBroker.append`, with the outcome of each, compared with a `produce()` loop without
callbacks and with the same librdkafka settings. `road`: `Sink` from Kafka into a Delta table on local disk, exactly once, compared with
the minimum (consume, join the values by line breaks, parse with pyarrow.json or polars, write a Parquet file every 200,000 events, without
offsets, checks or commits), with Spark on local[2] (from_json into Delta, the session's second run), and with pandas and a file every 100
events. Each run has a process of its own, in pairs A B A B; rates are events per wall-clock second, CPU and peak memory are the process's.
The output of each timed run is counted and compared. At the end the sink stores `--large` times the records, to measure its memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tests.server_process import ServerProcess

from kafka_baselines import (
    PANDAS_EVENTS,
    Result,
    produce_ours,
    produce_plain,
    store_by_pandas,
    store_by_polars,
    store_by_pyarrow,
    store_by_spark,
    store_ours,
)  # fmt: skip
from kafka_records import compare, count_topic, delete_topic, make_records, make_topic, run_apart, summarize
from soundlake.broker.kafka import KafkaBroker
from soundlake.contract.topics import DLQ, PLAYS
from soundlake.lake import Lake
from soundlake.operations.servers import KAFKA_JARS, KafkaServer, find_free_block, install_jars
from soundlake.settings import Address, KafkaAccess, load_settings


def bench_producer(servers: str, events: int, pairs: int) -> dict[str, object]:
    """Pairs of both loops, each into its own topic, whose records are counted afterwards."""
    ours, plain = [], []
    for number in range(pairs):
        for name, way, results in (("ours", produce_ours, ours), ("plain", produce_plain, plain)):
            make_topic(servers, topic := f"bench-{name}-{number}")
            results.append(run_apart(way, servers, topic, events))
            assert count_topic(servers, topic) == events + 1, "a record is missing or doubled"
            assert results[-1]["accounted"] == events, "a record without an outcome"
            delete_topic(servers, topic)
    return {"ours": summarize(ours, events), "plain_loop": summarize(plain, events), **compare(ours, plain)}


def open_lake(folder: Path) -> Lake:
    """The lake of a run."""
    return Lake(Address(f"file://{folder}", "file", path=folder))


def holds_events(folder: Path, sent: pa.Table) -> bool:
    """Whether bronze holds every event as it was sent, once."""
    stored = open_lake(folder).read("plays", sent.column_names).sort_by("event_id")
    return bool(stored.cast(sent.schema).equals(sent.sort_by("event_id")))


def holds_offsets(folder: Path, events: int) -> bool:
    """Whether bronze holds every offset of every partition, once."""
    stored = open_lake(folder).read("plays", ["_partition", "_offset"])
    found = [np.sort(stored["_offset"].filter(pc.equal(stored["_partition"], number)).to_numpy()) for number in range(4)]
    return len(stored) == events and all(np.array_equal(offsets, np.arange(len(offsets))) for offsets in found)


def bench_road(servers: str, events: int, pairs: int, large: int, folder: Path, *, with_spark: bool) -> dict[str, object]:
    """Rounds of our sink and the baselines over the same topic."""
    ways = {"ours": store_ours, "pyarrow": store_by_pyarrow, "polars": store_by_polars}
    make_topic(servers, PLAYS.name)
    make_topic(servers, DLQ.name)
    keys, values, sent = make_records(events)
    broker = KafkaBroker(KafkaAccess(servers))
    assert broker.append(PLAYS.name, keys, values).acknowledged == events
    results: dict[str, list[Result]] = {name: [] for name in ways}
    for number in range(pairs):
        for name, way in ways.items():
            results[name].append(store(way, servers, folder / f"{name}-{number}", events))
        assert holds_events(folder / f"ours-{number}", sent), "bronze is not what was sent"
    strongest = [min((results[name][n] for name in ("pyarrow", "polars")), key=lambda result: result["seconds"]) for n in range(pairs)]
    line: dict[str, object] = {name: summarize(found, events) for name, found in results.items()} | compare(results["ours"], strongest)
    pandas = store(store_by_pandas, servers, folder / "pandas", PANDAS_EVENTS)
    line["pandas_a_file_per_100"] = summarize([pandas], round(pandas["events"]))
    if with_spark:
        spark = store(store_by_spark, servers, folder / "spark", events)
        figures = summarize([spark], events) | {"first_run": round(events / spark["cold_seconds"]), "java_mib": round(spark["java_mib"])}
        line["spark_local_2"] = figures
    if large > 1:
        for _ in range(large - 1):
            assert broker.append(PLAYS.name, keys, values).acknowledged == events
        line[f"ours_on_{large}_times_as_many"] = summarize([store(store_ours, servers, folder / "large", large * events)], large * events)
        assert holds_offsets(folder / "large", large * events), "bronze does not hold each record once"
    return line


def store(way: Callable[..., Result], servers: str, folder: Path, events: int) -> Result:
    """One run into its own folder."""
    folder.mkdir()
    result = run_apart(way, servers, str(folder), events)
    assert events <= result["events"] < events + PANDAS_EVENTS, (
        "a record is missing or doubled"
    )  # the pandas run may read past its part of the topic
    print(f"{folder.name}: {result['events'] / result['seconds']:,.0f} events a second", file=sys.stderr)
    return result


def main() -> None:
    """Start a broker, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", choices=("producer", "road"))
    parser.add_argument("--large", type=int, default=3)
    parser.add_argument("--without-spark", action="store_true")
    chosen = parser.parse_args()
    jars = install_jars(KAFKA_JARS, load_settings().servers.downloads / "kafka")
    line: dict[str, object] = {"benchmark": "kafka", "events": chosen.events, "pairs": chosen.pairs}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = KafkaServer(folder / "kafka", find_free_block(), jars)
        with ServerProcess(server, folder):
            if chosen.only != "road":
                line["producer"] = bench_producer(server.address, chosen.events, chosen.pairs)
            if chosen.only != "producer":
                sizes = (chosen.events, chosen.pairs, chosen.large)
                line["road"] = bench_road(server.address, *sizes, folder, with_spark=not chosen.without_spark)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
