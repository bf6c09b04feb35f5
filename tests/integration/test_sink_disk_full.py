"""A lake without room or without permission stops the sink with a clear error; with room again, nothing is missing."""

from __future__ import annotations

import random
import subprocess
from datetime import UTC, datetime

import pytest
from tests.integration.campaign_truth import Truth
from tests.integration.kill_campaign import assert_exactly_once, drain, prepare, start_driver
from tests.integration.sink_driver import open_broker


def run_mount(*arguments: str) -> None:
    mounted = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"this user may not mount a small disk: {mounted.stderr.strip()}")


@pytest.fixture
def small_lake(tmp_path):
    """A folder whose lake is on a disk of three megabytes of its own."""
    disk = tmp_path / "lake"
    disk.mkdir()
    run_mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk))
    yield tmp_path
    subprocess.run(["umount", str(disk)], check=True)


def publish_plays(folder, truth: Truth, count: int) -> None:
    broker = open_broker(folder)
    truth.publish(broker, random.Random(3), "user_plays", count, datetime.now(UTC))
    broker.close()


def run_sink(folder) -> tuple[int, str]:
    sink = start_driver(folder)
    said, complaint = sink.communicate(timeout=120)
    assert "Traceback" not in complaint
    return sink.returncode, said


def test_a_full_disk_stops_the_sink_and_with_room_again_it_goes_on(small_lake):
    truth = prepare(small_lake)
    ballast = small_lake / "lake" / "ballast"
    ballast.write_bytes(b"x" * 2_600_000)
    publish_plays(small_lake, truth, 3_000)
    exit_code, said = run_sink(small_lake)
    assert exit_code == 1
    assert said.startswith("stopped Unavailable")
    assert "disk is full" in said
    assert str(small_lake / "lake") in said
    ballast.unlink()
    drain(small_lake)
    assert_exactly_once(small_lake, truth)


def test_a_lake_that_may_not_be_written_stops_the_sink_and_writable_again_it_goes_on(small_lake):
    truth = prepare(small_lake)
    publish_plays(small_lake, truth, 300)
    run_mount("-o", "remount,ro", str(small_lake / "lake"))
    exit_code, said = run_sink(small_lake)
    assert exit_code == 1
    assert "mounted read-only" in said
    run_mount("-o", "remount,rw", str(small_lake / "lake"))
    drain(small_lake)
    assert_exactly_once(small_lake, truth)
