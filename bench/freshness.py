"""The age of an event when its commit becomes readable: Kafka → `soundlake sink` → bronze on local disk, at a constant rate.

    python bench/freshness.py [--rate 5000] [--seconds 60] [--batch-seconds 1.0]

Plays, skips, likes and now-playing events are published every 20 ms; the sink runs as a separate process, as for users. An event's age is
the time at which its commit appears in the table's log (the modification time of the log file) minus its `produced_at`. Afterwards the
rows in bronze are compared with the acknowledged events: as many must be there. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.server_process import ServerProcess

from soundlake.broker import Publisher
from soundlake.broker.kafka import KafkaBroker
from soundlake.contract import EVENT_SCHEMA, TOPICS
from soundlake.contract.topics import DLQ
from soundlake.operations.servers import KAFKA_JARS, KafkaServer, find_free_block, install_jars
from soundlake.settings import KafkaAccess, extend_environment, load_settings

STEP_SECONDS = 0.02
KINDS = {"play": 0.6, "skip": 0.2, "like": 0.1, "now_playing": 0.1}
TABLES = ("plays", "skips", "likes", "now_playing")


def make_events(rng: np.random.Generator, count: int) -> pa.Table:
    """Events of this moment."""
    now = int(time.time() * 1_000_000)
    columns = {
        "event_id": [str(uuid.uuid4()) for _ in range(count)],
        "event_type": rng.choice(list(KINDS), count, p=list(KINDS.values())).tolist(),
        "user_id": [f"listener-{number}" for number in rng.integers(0, 20_000, count)],
        "played_at": [now] * count,
        "track_id": [f"track-{number}" for number in rng.integers(0, 5_000, count)],
        "source": ["generator"] * count,
    }
    return pa.table({name: pa.array(values, EVENT_SCHEMA.field(name).type) for name, values in columns.items()})


def publish(servers: str, rate: int, seconds: float) -> dict[str, int]:
    """Publish at the rate; how many were acknowledged, and by how much the last step was late."""
    publisher, rng = Publisher(KafkaBroker(KafkaAccess(servers))), np.random.default_rng(1)
    begun, acknowledged, steps = time.monotonic(), 0, round(seconds / STEP_SECONDS)
    for step in range(steps):
        time.sleep(max(0.0, begun + step * STEP_SECONDS - time.monotonic()))
        acknowledged += publisher.publish(make_events(rng, round(rate * STEP_SECONDS))).acknowledged
    return {"acknowledged": acknowledged, "seconds": round(time.monotonic() - begun)}


def read_ages(lake: Path, warm: datetime) -> tuple[np.ndarray, int]:
    """The age in seconds at its commit of each event produced after the warm-up, and the number of all events."""
    ages, count = [], 0
    for name in TABLES:
        for log in sorted((lake / "bronze" / name / "_delta_log").glob("*.json")):
            committed = log.stat().st_mtime
            added = [action["add"]["path"] for action in map(json.loads, log.read_text().splitlines()) if "add" in action]
            for path in added:
                produced = pq.read_table(lake / "bronze" / name / path, columns=["produced_at"], partitioning=None)["produced_at"]
                moments = produced.cast(pa.int64()).to_numpy() / 1e6
                count += len(moments)
                ages.append(committed - moments[moments > warm.timestamp()])
    return np.concatenate(ages), count


def main() -> None:
    """Start a broker and a sink, publish, read the log of the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--batch-seconds", type=float, default=1.0, help="the sink's SOUNDLAKE_SINK_MAX_SECONDS")
    chosen = parser.parse_args()
    jars = install_jars(KAFKA_JARS, load_settings().servers.downloads / "kafka")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = KafkaServer(folder / "kafka", find_free_block(), jars)
        with ServerProcess(server, folder):
            broker = KafkaBroker(KafkaAccess(server.address))
            broker.create_topics([*TOPICS, DLQ], partitions=4)
            broker.close()
            settings = {"SOUNDLAKE_BROKER": f"kafka://{server.address}", "SOUNDLAKE_HOME": str(folder / "home")}
            settings |= {"SOUNDLAKE_SINK_MAX_SECONDS": str(chosen.batch_seconds)}
            command = [str(Path(sys.executable).with_name("soundlake")), "sink", "--compact-every", "0"]
            with (folder / "sink.log").open("wb") as log:
                sink = subprocess.Popen(command, env=extend_environment(settings), stdout=log, stderr=log)
            time.sleep(5)
            begun = datetime.now(UTC)
            published = publish(server.address, chosen.rate, chosen.seconds)
            time.sleep(5)
            sink.send_signal(signal.SIGTERM)
            assert sink.wait(60) == 0, (folder / "sink.log").read_text()
            warm = datetime.fromtimestamp(begun.timestamp() + 5, UTC)
            ages, stored = read_ages(folder / "home" / "lake", warm)
    assert stored == published["acknowledged"], f"{published['acknowledged']} acknowledged, {stored} in bronze"
    percentiles = {f"p{part}": round(float(np.percentile(ages, part)), 2) for part in (50, 95, 99)}
    line = {"benchmark": "freshness", "rate": chosen.rate, "batch_seconds": chosen.batch_seconds, "events": stored, **published}
    print(json.dumps({**line, "age_seconds": {**percentiles, "max": round(float(ages.max()), 2)}, "holds": percentiles["p99"] <= 2.0}))


if __name__ == "__main__":
    main()
