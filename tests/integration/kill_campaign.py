"""Campaigns that kill the sink repeatedly while a producer publishes, and the check of the lake afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.integration.campaign_truth import TABLES, Truth, find_differences
from tests.integration.sink_driver import open_broker, open_lake

from soundlake.contract import TOPICS

DRIVER = Path(__file__).with_name("sink_driver.py")
LAKE_CHECK = Path(__file__).resolve().parents[3] / "shared" / "tools" / "lake_check.py"
PARTITIONS = 3


def prepare(folder: Path) -> Truth:
    """Create a log and a lake, both empty."""
    broker = open_broker(folder)
    broker.create_topics(TOPICS, partitions=PARTITIONS)
    broker.close()
    open_lake(folder).ensure_tables()
    return Truth(folder)


def start_driver(folder: Path, *options: str) -> subprocess.Popen[str]:
    """A sink process that has started."""
    command = [sys.executable, str(DRIVER), str(folder), *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def drain(folder: Path) -> str:
    """Run a sink until the log is drained; returns its last line. After a long campaign the rest may be large."""
    output, errors = start_driver(folder).communicate(timeout=900)
    assert output.startswith("done"), output + errors
    return output


def publish_backlog(folder: Path, truth: Truth, seed: int, count: int = 450) -> None:
    """Publish records of every topic."""
    broker, rng = open_broker(folder), random.Random(seed)
    for topic in TABLES:
        truth.publish(broker, rng, topic, count, datetime.now(UTC))
    broker.close()


def run_campaign(folder: Path, *, kills: int, seed: int) -> Truth:
    """Kill the sink `kills` times at random moments while events arrive; then drain the log."""
    truth, rng, ended = prepare(folder), random.Random(seed), threading.Event()

    def produce() -> None:
        broker, producer_rng = open_broker(folder), random.Random(seed + 1)
        while not ended.wait(0.05):
            truth.publish(broker, producer_rng, producer_rng.choice(list(TABLES)), producer_rng.choice((1, 20, 150)), datetime.now(UTC))
        broker.close()

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        for _ in range(kills):
            sink = start_driver(folder, "--endless")
            time.sleep(rng.uniform(0, 0.9))
            sink.send_signal(signal.SIGKILL)
            output, errors = sink.communicate(timeout=60)
            assert sink.returncode == -signal.SIGKILL, output + errors
    finally:
        ended.set()
        producer.join()
    drain(folder)
    return truth


def assert_exactly_once(folder: Path, truth: Truth) -> None:
    """The lake holds what was published, by our own check and by the independent checker where that exists."""
    assert len(truth.events) > 0
    lake = open_lake(folder)
    root = lake.find_uri("plays").removesuffix("/bronze/plays")
    found = find_differences(root, lake.storage_options, truth)
    assert not any(found.values()), found
    if LAKE_CHECK.exists():
        good, broken = truth.write()
        command = [sys.executable, str(LAKE_CHECK), "--lake", root, "--truth", str(good), "--broken", str(broken)]
        environment = {**os.environ, **lake.storage_options}
        check = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert check.returncode == 0, check.stdout + check.stderr
        assert json.loads(check.stdout)["bronze_rows"] == len(truth.events)
