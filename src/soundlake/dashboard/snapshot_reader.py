"""One opened snapshot, shared by all sessions, with the answers that it has already computed."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import datetime
from functools import lru_cache
from typing import Protocol, TypeVar, TypeVarTuple, cast

from duckdb import DuckDBPyConnection

Terms = TypeVarTuple("Terms")
Answer = TypeVar("Answer")

_ANSWERS_KEPT = 1024


class OpenSnapshot(Protocol):
    """A snapshot as the warehouse opens it: read-only, in UTC."""

    @property
    def id(self) -> str:
        """The id of the build."""

    @property
    def connection(self) -> DuckDBPyConnection:
        """Closed with the last reader that holds it."""


class SnapshotReader:
    """Answers questions from one snapshot. The snapshot does not change, so each answer is computed once; safe between threads."""

    def __init__(self, snapshot: OpenSnapshot) -> None:
        self.snapshot_id = snapshot.id
        self._connection = snapshot.connection
        self._answer = lru_cache(maxsize=_ANSWERS_KEPT)(self._compute)
        self.built_at = self.ask(read_build_time)

    @property
    def questions_answered(self) -> int:
        """How many answers were computed so far."""
        return self._answer.cache_info().misses

    def ask(self, question: Callable[[DuckDBPyConnection, *Terms], Answer], *terms: *Terms) -> Answer:
        """The answer of one function of `queries`; its terms must be hashable and its answer immutable."""
        return cast("Answer", self._answer(question, terms))

    def _compute(self, question: Callable[..., object], terms: tuple[Hashable, ...]) -> object:
        with self._connection.cursor() as cursor:
            return question(cursor, *terms)


def read_build_time(cursor: DuckDBPyConnection) -> datetime:
    """When the build of this snapshot was finished, in UTC; a copy of the file keeps it."""
    (built_at,) = cursor.execute("select max(finished_at) from raw.builds").fetchall()[0]
    return cast("datetime", built_at)
