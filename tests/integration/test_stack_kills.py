"""Kafka, object store, sink and producer killed and held at random: every acknowledged record is in bronze exactly once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.integration.stack_campaign import BLOWS, LAKE_CHECK, run_campaign


def find_faults(report: dict[str, Any], *, kills: int) -> dict[str, Any]:
    """What was lost or doubled, and what was to happen and did not, of a campaign's report; empty if it showed what it was to show."""
    wanted = {"ok": True, "kills": kills, "in_vain": {}}
    faults = {name: report[name] for name, value in wanted.items() if report[name] != value}
    faults |= {name: 0 for name in ("acknowledged", "gave_way") if not report[name]}
    faults |= dict.fromkeys(BLOWS.keys() - report["blows"].keys(), "never struck")
    if LAKE_CHECK.exists() and "lake_check" not in report:
        faults["lake_check"] = "not run"
    return {**faults, "report": json.dumps(report)} if faults else {}


@pytest.mark.timeout(1200)
def test_the_stack_struck_fifteen_times_loses_and_doubles_nothing(kafka_jars, tmp_path):
    report = run_campaign(tmp_path, kills=15, seed=20261122)
    assert find_faults(report, kills=15) == {}


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_the_stack_struck_three_hundred_times_loses_and_doubles_nothing(kafka_jars, tmp_path):
    report = run_campaign(tmp_path, kills=300, seed=1)
    assert find_faults(report, kills=300) == {}
