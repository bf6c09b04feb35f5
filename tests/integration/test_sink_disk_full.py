"""A full or read-only disk stops the sink with a clear error; after that is fixed, the next sink stores everything."""

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
        pytest.skip(f"this user cannot mount a small disk: {mounted.stderr.strip()}")


@pytest.fixture
def small_lake(tmp_path):
    """A folder whose lake is on a separate disk of three megabytes."""
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
    output, errors = sink.communicate(timeout=120)
    assert "Traceback" not in errors
    return sink.returncode, output


def test_a_full_disk_stops_the_sink_and_with_free_space_it_resumes(small_lake):
    truth = prepare(small_lake)
    ballast = small_lake / "lake" / "ballast"
    ballast.write_bytes(b"x" * 2_600_000)
    publish_plays(small_lake, truth, 3_000)
    exit_code, output = run_sink(small_lake)
    assert exit_code == 1
    assert output.startswith("stopped Unavailable")
    assert "disk is full" in output
    assert str(small_lake / "lake") in output
    ballast.unlink()
    drain(small_lake)
    assert_exactly_once(small_lake, truth)


def test_a_read_only_lake_stops_the_sink_and_when_writable_it_resumes(small_lake):
    truth = prepare(small_lake)
    publish_plays(small_lake, truth, 300)
    run_mount("-o", "remount,ro", str(small_lake / "lake"))
    exit_code, output = run_sink(small_lake)
    assert exit_code == 1
    assert "mounted read-only" in output
    run_mount("-o", "remount,rw", str(small_lake / "lake"))
    drain(small_lake)
    assert_exactly_once(small_lake, truth)
