"""Two sinks on the same partitions: one goes on, the other stops and says why; nothing is doubled."""

from __future__ import annotations

from tests.integration.kill_campaign import assert_exactly_once, drain, prepare, publish_backlog, start_driver


def race(folder) -> list[str]:
    """Two sinks that have both judged the same records and written files of them, let loose at once; what each said at its end."""
    rivals = [start_driver(folder, "--wait-at", "files_written") for _ in range(2)]
    for rival in rivals:
        assert rival.stdout.readline() == "waiting\n", rival.communicate()
    for rival in rivals:
        rival.stdin.write("go\n")
        rival.stdin.flush()
    return sorted(rival.communicate(timeout=120)[0].split()[0] for rival in rivals)


def test_of_two_sinks_on_one_partition_exactly_one_goes_on_twenty_times(tmp_path):
    truth = prepare(tmp_path)
    for seed in range(20):
        publish_backlog(tmp_path, truth, seed=seed, count=30)
        assert race(tmp_path) == ["done", "stopped"], f"race {seed}"
    drain(tmp_path)
    assert_exactly_once(tmp_path, truth)
