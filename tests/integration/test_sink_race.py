"""Of two sinks on the same partitions one continues and the other stops with an error; nothing is stored twice."""

from __future__ import annotations

from tests.integration.kill_campaign import assert_exactly_once, drain, prepare, publish_backlog, start_driver


def race(folder) -> list[str]:
    """Two sinks that have written files of the same records commit at the same time; returns the first word of each one's output."""
    sinks = [start_driver(folder, "--wait-at", "files_written") for _ in range(2)]
    for sink in sinks:
        assert sink.stdout.readline() == "waiting\n", sink.communicate()
    for sink in sinks:
        sink.stdin.write("go\n")
        sink.stdin.flush()
    return sorted(sink.communicate(timeout=120)[0].split()[0] for sink in sinks)


def test_of_two_sinks_on_one_partition_exactly_one_continues_twenty_times(tmp_path):
    truth = prepare(tmp_path)
    for seed in range(20):
        publish_backlog(tmp_path, truth, seed=seed, count=30)
        assert race(tmp_path) == ["done", "stopped"], f"race {seed}"
    drain(tmp_path)
    assert_exactly_once(tmp_path, truth)
