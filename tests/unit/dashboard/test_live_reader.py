"""One reader of live metrics for all open pages: it reads in the background, survives errors, and rests when no page is open."""

from __future__ import annotations

import threading
import time
from datetime import datetime

import pytest

from soundlake.cache.live_metrics import LIVE_SCHEMA, LiveMetrics, summarize
from soundlake.dashboard.live_reader import LiveReader
from soundlake.errors import Unavailable


class CountingSource:
    """A source that counts its reads and fails while it has an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.reads = 0
        self.threads: set[int] = set()
        self.error = error

    def read(self, now: datetime) -> LiveMetrics:
        self.reads += 1
        self.threads.add(threading.get_ident())
        if self.error is not None:
            raise self.error
        return summarize(LIVE_SCHEMA.empty_table(), now)


def wait_until(is_true) -> None:
    deadline = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_many_pages_share_one_read():
    source = CountingSource()
    reader = LiveReader(source, read_seconds=60)
    latest = []
    pages = [threading.Thread(target=lambda: latest.append(reader.get_latest())) for _ in range(20)]
    for page in pages:
        page.start()
    for page in pages:
        page.join()
    assert source.reads == 1
    assert {id(metrics) for metrics in latest} == {id(latest[0])}
    assert threading.get_ident() not in source.threads


def test_the_metrics_are_renewed_while_a_page_asks():
    source = CountingSource()
    reader = LiveReader(source, read_seconds=0.01)
    first = reader.get_latest()
    wait_until(lambda: reader.get_latest().read_at > first.read_at)
    assert len(source.threads) == 1


def test_nothing_is_read_once_no_page_asks_and_the_next_page_gets_new_metrics():
    source = CountingSource()
    reader = LiveReader(source, read_seconds=0.01, idle_seconds=0.05)
    first = reader.get_latest()
    wait_until(lambda: not any(thread.name == "live metrics" and thread.ident in source.threads for thread in threading.enumerate()))
    reads = source.reads
    time.sleep(0.1)
    assert source.reads == reads
    assert reader.get_latest().read_at > first.read_at


@pytest.mark.parametrize(
    ("error", "message"),
    [(Unavailable("no lake", next_step="make demo"), "no lake\n→ make demo"), (ZeroDivisionError(), r"ZeroDivisionError.*\n.*log")],
    ids=["an expected error", "a programming error"],
)
def test_an_error_is_reported_to_every_page_and_the_next_read_may_succeed(error, message):
    source = CountingSource(error)
    reader = LiveReader(source, read_seconds=0.01)
    for _ in range(2):
        with pytest.raises(Unavailable, match=message):
            reader.get_latest()
    source.error = None
    wait_until(lambda: can_read(reader))


def can_read(reader: LiveReader) -> bool:
    try:
        reader.get_latest()
    except Unavailable:
        return False
    return True
