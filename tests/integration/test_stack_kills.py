"""Kafka, object store, sink and producer killed and held at random: every acknowledged record is in bronze exactly once."""

from __future__ import annotations

import pytest
from tests.integration.stack_campaign import run_campaign


@pytest.mark.timeout(1200)
def test_the_stack_struck_fifteen_times_loses_and_doubles_nothing(kafka_jars, tmp_path):
    report = run_campaign(tmp_path, kills=15, seed=20261122)
    assert report["ok"], report


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_the_stack_struck_three_hundred_times_loses_and_doubles_nothing(kafka_jars, tmp_path):
    report = run_campaign(tmp_path, kills=300, seed=1)
    assert report["ok"], report
