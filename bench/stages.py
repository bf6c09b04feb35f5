"""CPU seconds for a million events in each stage of the pipeline, with the same events in all stages.

    python bench/stages.py [--listeners 800] [--days 10] [--spark]

The generator makes the events; they are published to a Kafka started for this, stored by the sink in a Delta lake on local disk, and built
into gold by one dbt run. `--spark`: the query `processed` reads them too; the cost of its start is measured by a second run without new
events, and subtracted. CPU time is that of the process and its children, so other work on the machine does not count; the broker's is
reported separately. Published, stored and built events are counted: none may be missing. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pyarrow as pa
from tests.server_process import ServerProcess

from soundlake import wiring
from soundlake.broker.kafka import KafkaBroker
from soundlake.contract import TOPICS, encode_events
from soundlake.contract.decode import decode_records
from soundlake.contract.topics import DLQ, PLAYS
from soundlake.generator import GeneratorConfig, generate_events
from soundlake.operations.servers import KAFKA_JARS, KafkaServer, find_free_block, install_jars
from soundlake.settings import Settings, extend_environment, load_settings

PARTITIONS = 4
FETCH = {"max_records": 100_000, "max_bytes": 64 * 2**20}
POLL_SECONDS = 0.2
WITH_BROKER = ("publish", "sink")


def read_cpu(pid: int) -> float:
    """CPU seconds of a process, of its children, and of those it has waited for."""
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.Error:
            continue
    return total


class Meter:
    """Measures the CPU time of stages, of this process and of the broker."""

    def __init__(self, broker_pid: int) -> None:
        self._broker_pid = broker_pid
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Measure the CPU time of the block. The broker is a child of this process, so its time is subtracted and kept separately."""
        own, broker = read_cpu(psutil.Process().pid), read_cpu(self._broker_pid)
        yield
        used = read_cpu(self._broker_pid) - broker
        self.seconds[stage] = read_cpu(psutil.Process().pid) - own - used
        if stage in WITH_BROKER:
            self.seconds[f"{stage}: broker"] = used


def measure_stages(settings: Settings, meter: Meter, config: GeneratorConfig) -> int:
    """All stages except Spark; returns the number of events."""
    with meter.measure("generate"):
        made = pa.concat_tables(list(generate_events(config)))
    with meter.measure("encode (part of publish)"):
        encode_events(made)
    with closing(wiring.open_broker(settings)) as broker:
        broker.create_topics([*TOPICS, DLQ], partitions=PARTITIONS)
        with meter.measure("publish"):
            account = wiring.open_publisher(broker).publish(made)
        assert account.acknowledged == len(made), "an event without an acknowledgement"
        lake = wiring.open_lake(settings)
        with meter.measure("sink"):
            report = wiring.build_sink(settings, broker, lake).run(until_drained=True)
        assert (report.events, report.rejected) == (len(made), 0), "an event that is not in bronze"
        records = list(fetch_all(broker))
        with meter.measure("decode and validate (part of sink)"):
            decoded = [decode_records(PLAYS, run.values, run.timestamps_ms) for run in records]
        part = sum(len(run.events) for run in decoded) / len(made)
        meter.seconds["decode and validate (part of sink)"] /= part
    with meter.measure("transform"), wiring.open_warehouse(settings, lake) as warehouse:
        built = warehouse.transform()
    assert built.rows["silver_plays"] + built.rows["silver_rejected"] > 0
    return len(made)


def fetch_all(broker: KafkaBroker) -> Iterator:
    """The plays of the log, as the sink fetches them."""
    for partition, held in broker.offsets(PLAYS.name).items():
        offset = held.begin
        while offset < held.end:
            records = broker.fetch(PLAYS.name, partition, offset, **FETCH)
            offset = records.offsets[-1].as_py() + 1
            yield records


def run_spark(environment: dict[str, str]) -> tuple[float, int]:
    """CPU seconds of a run of the query `processed` until it has read everything, and the number of records it read."""
    command = [sys.executable, "-m", "soundlake.cli.app", "stream", "processed", "--until-drained", "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    used = 0.0
    while process.poll() is None:
        used = max(used, read_cpu(process.pid))
        time.sleep(POLL_SECONDS)
    assert process.returncode == 0
    assert process.stdout is not None
    return used, json.loads(process.stdout.read())["records"]["processed"]


def measure_spark(environment: dict[str, str], meter: Meter, events: int) -> None:
    """Two runs: one that reads everything, and one without new events."""
    full_seconds, read = run_spark(environment)
    idle_seconds, nothing = run_spark(environment)
    assert (read, nothing) == (events, 0), "Spark has not read all published events"
    meter.seconds |= {"spark": full_seconds - idle_seconds, "spark: start and end": idle_seconds}


def main() -> None:
    """One line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listeners", type=int, default=800)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--spark", action="store_true")
    options = parser.parse_args()
    jars = load_settings().servers.downloads.expanduser().absolute()
    install_jars(KAFKA_JARS, jars / "kafka")
    with tempfile.TemporaryDirectory() as name:
        folder, server = Path(name), KafkaServer(Path(name) / "kafka", find_free_block(), jars / "kafka")
        settings = Settings(
            _env_file=None,
            home=folder / "home",
            broker=f"kafka://{server.address}",
            topics={"partitions": PARTITIONS},
            servers={"downloads": jars},
        )
        with ServerProcess(server, folder / "logs") as running:
            meter = Meter(running.pid)
            events = measure_stages(settings, meter, GeneratorConfig(listeners=options.listeners, days=options.days))
            if options.spark:
                chosen = {"SOUNDLAKE_HOME": str(settings.home), "SOUNDLAKE_BROKER": settings.broker, "SOUNDLAKE_DOWNLOADS": str(jars)}
                measure_spark(extend_environment(chosen), meter, events)
    a_million = {stage: round(seconds / events * 1e6, 2) for stage, seconds in meter.seconds.items()}
    print(json.dumps({"events": events, "cpu_seconds_a_million": a_million}))


if __name__ == "__main__":
    main()
