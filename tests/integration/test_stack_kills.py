"""Kafka, object store, sink and producer are killed and paused at random: every acknowledged record is in bronze exactly once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.integration.stack_campaign import FAULTS, LAKE_CHECK, run_campaign


def find_failures(report: dict[str, Any], *, kills: int) -> dict[str, Any]:
    """What a report shows that it should not, and expected events that did not happen; empty if the campaign succeeded."""
    expected = {"ok": True, "kills": kills, "timeouts": {}}
    failures = {name: report[name] for name, value in expected.items() if report[name] != value}
    failures |= {name: 0 for name in ("acknowledged", "stopped_by_position") if not report[name]}
    failures |= dict.fromkeys(FAULTS.keys() - report["faults"].keys(), "never injected")
    if LAKE_CHECK.exists() and "lake_check" not in report:
        failures["lake_check"] = "not run"
    return {**failures, "report": json.dumps(report)} if failures else {}


@pytest.mark.timeout(1200)
def test_fifteen_faults_in_the_stack_lose_and_duplicate_nothing(kafka_jars, tmp_path):
    report = run_campaign(tmp_path, kills=15, seed=20261122)
    assert find_failures(report, kills=15) == {}


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_three_hundred_faults_in_the_stack_lose_and_duplicate_nothing(kafka_jars, tmp_path):
    report = run_campaign(tmp_path, kills=300, seed=1)
    assert find_failures(report, kills=300) == {}
