"""Fixtures of all suites, the order of the slow files, and how hypothesis searches."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings
from tests.browser import browser, start_dashboard
from tests.servers import kafka_jars, kafka_server, object_store, redis_server
from tests.spark import spark, spark_jars

__all__ = ["browser", "kafka_jars", "kafka_server", "object_store", "redis_server", "spark", "spark_jars", "start_dashboard"]

# The same cases every time in the quick suites, new ones in `make soak`. Machines are shared: no deadlines.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("hunting", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("repeatable")

# A shell starts a background job with SIGINT ignored, and processes inherit that; tests send SIGINT.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SLOWEST_FILES = (
    "test_streaming_faults", "test_stack_up", "test_streaming_job", "test_demo", "test_sink_kills", "test_bucket_faults",
    "test_streaming_frames", "test_lake_in_a_bucket", "test_streaming_bucket", "test_generate_processes", "test_kafka_groups",
    "test_stack_kills", "test_streaming_supervised", "test_kafka_faults", "test_dlq_kills", "test_check_broken",
    "test_dashboard_browser", "test_generate_command",
)  # fmt: skip
"""Started first, the longest before the others: a long file that starts last leaves the other workers idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files by expected duration; pytest-xdist keeps that order (`--no-loadscope-reorder`)."""
    order = {name: rank for rank, name in enumerate(SLOWEST_FILES)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))
