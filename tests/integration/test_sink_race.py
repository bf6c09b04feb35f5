"""Of two sinks on the same partitions one continues and the other stops with an error; nothing is stored twice."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tests.integration.kill_campaign import assert_exactly_once, drain, prepare, publish_backlog, start_driver


def send_line(sinks: Sequence[subprocess.Popen[str]]) -> None:
    """Send a line of input to each process."""
    for sink in sinks:
        sink.stdin.write("go\n")
        sink.stdin.flush()


def race(sinks: Sequence[subprocess.Popen[str]]) -> list[str]:
    """Both write files of the same records, then commit at the same time; returns the first word of each one's output."""
    send_line(sinks)
    for sink in sinks:
        assert sink.stdout.readline() == "waiting\n", sink.communicate()
    send_line(sinks)
    return sorted(sink.stdout.readline().split()[0] for sink in sinks)


def test_of_two_sinks_on_one_partition_exactly_one_continues_twenty_times(tmp_path):
    truth = prepare(tmp_path)
    sinks = [start_driver(tmp_path, "--wait-at", "files_written", "--rounds") for _ in range(2)]
    try:
        for seed in range(20):
            publish_backlog(tmp_path, truth, seed=seed, count=30)
            assert race(sinks) == ["done", "stopped"], f"race {seed}"
    finally:
        for sink in sinks:
            sink.communicate(timeout=60)
    drain(tmp_path)
    assert_exactly_once(tmp_path, truth)
