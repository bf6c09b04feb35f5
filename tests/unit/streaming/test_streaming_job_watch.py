"""How a job watches its queries: what ended one is raised, however late it failed."""

from __future__ import annotations

import threading

import pytest
from pyspark.errors import StreamingQueryException

from soundlake.errors import SoundlakeError
from soundlake.streaming.job import watch_queries
from soundlake.streaming.progress import ProgressReporter, discard_progress


class Query:
    """A query that ends right before it is asked whether it is active; `error` is then what ended it."""

    recentProgress = ()  # noqa: N815  # as Spark names it

    def __init__(self, error: Exception | None = None) -> None:
        self._error, self._ended = error, False

    @property
    def isActive(self) -> bool:  # noqa: N802  # as Spark names it
        self._ended = True
        return False

    def exception(self) -> Exception | None:
        return self._error if self._ended else None


def watch(queries: dict[str, Query]) -> dict[str, int]:
    return watch_queries(queries, ProgressReporter(discard_progress), threading.Event())


def test_a_query_that_fails_at_the_last_moment_does_not_end_as_a_success():
    with pytest.raises(SoundlakeError, match="the query live stopped: no more disk"):
        watch({"live": Query(StreamingQueryException("no more disk"))})


def test_queries_that_have_ended_well_are_counted():
    assert watch({"live": Query(), "processed": Query()}) == {"live": 0, "processed": 0}
