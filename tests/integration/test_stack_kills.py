"""Kafka, object store, sink and producer killed and held at random: every acknowledged record is in bronze exactly once."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.stack_campaign import BLOWS, LAKE_CHECK, run_campaign


def is_whole(report: dict[str, Any], *, kills: int) -> bool:
    """Whether all is well, and all happened that was to be shown."""
    was_struck = report["kills"] == kills and report["blows"].keys() == BLOWS.keys()
    was_checked = "lake_check" in report or not LAKE_CHECK.exists()
    return bool(report["ok"] and was_struck and was_checked and not report["in_vain"] and report["acknowledged"] and report["gave_way"])


@pytest.mark.timeout(1200)
def test_the_stack_struck_fifteen_times_loses_and_doubles_nothing(kafka_jars, tmp_path):
    report = run_campaign(tmp_path, kills=15, seed=20261122)
    assert is_whole(report, kills=15), report


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_the_stack_struck_three_hundred_times_loses_and_doubles_nothing(kafka_jars, tmp_path):
    report = run_campaign(tmp_path, kills=300, seed=1)
    assert is_whole(report, kills=300), report
