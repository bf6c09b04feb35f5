"""After a sink is killed at any point and started again, every acknowledged record is in bronze exactly once."""

from __future__ import annotations

import signal

import pytest
from tests.integration.kill_campaign import assert_exactly_once, drain, prepare, publish_backlog, run_campaign, start_driver

POINTS = [
    ("files_written", "1"),  # the files of bronze/rejected
    ("files_written", "2"),  # the files of the events
    ("rejected_committed", "1"),
    ("events_committed", "1"),
    ("offset_moved", "1"),
    ("files_written", "5"),
    ("rejected_committed", "3"),
    ("events_committed", "3"),
]


@pytest.mark.parametrize("point", POINTS, ids="-".join)
def test_a_sink_killed_at_a_checkpoint_resumes_where_bronze_ends(tmp_path, point):
    truth = prepare(tmp_path)
    publish_backlog(tmp_path, truth, seed=7)
    killed = start_driver(tmp_path, "--kill-at", *point)
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    drain(tmp_path)
    assert_exactly_once(tmp_path, truth)


def test_a_sink_killed_twice_between_rejected_and_events_rejects_no_record_twice(tmp_path):
    truth = prepare(tmp_path)
    publish_backlog(tmp_path, truth, seed=8)
    for _ in range(2):
        killed = start_driver(tmp_path, "--kill-at", "rejected_committed", "1")
        killed.communicate(timeout=120)
        publish_backlog(tmp_path, truth, seed=9, count=60)  # the next batch has other end offsets
    drain(tmp_path)
    assert_exactly_once(tmp_path, truth)


def test_a_sink_killed_at_random_fifteen_times_loses_and_duplicates_nothing(tmp_path):
    assert_exactly_once(tmp_path, run_campaign(tmp_path, kills=15, seed=20261122))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_sink_killed_at_random_two_hundred_times_loses_and_duplicates_nothing(tmp_path):
    assert_exactly_once(tmp_path, run_campaign(tmp_path, kills=200, seed=1))
