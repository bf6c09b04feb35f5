"""The newest published snapshot, opened once for all sessions, with the answers it has already given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar, TypeVarTuple, cast

from duckdb import DuckDBPyConnection

Terms = TypeVarTuple("Terms")
Answer = TypeVar("Answer")

_ANSWERS_KEPT = 1024


class OpenSnapshot(Protocol):
    """A snapshot as the warehouse opens it: read-only, in UTC."""

    @property
    def id(self) -> str:
        """Names this build; another build has another."""

    @property
    def path(self) -> Path:
        """Its file, written when it was published."""

    @property
    def connection(self) -> DuckDBPyConnection:
        """Closed with the last reader that holds it."""


class SnapshotReader:
    """Answers questions from one snapshot. The snapshot does not change, so each answer is computed once; safe between threads."""

    def __init__(self, snapshot: OpenSnapshot) -> None:
        self.snapshot_id = snapshot.id
        self.published_at = datetime.fromtimestamp(snapshot.path.stat().st_mtime, UTC)
        self._connection = snapshot.connection
        self._answer = lru_cache(maxsize=_ANSWERS_KEPT)(self._compute)

    def ask(self, question: Callable[[DuckDBPyConnection, *Terms], Answer], *terms: *Terms) -> Answer:
        """The answer of one function of `queries`; its terms must be hashable and its answer immutable."""
        return cast("Answer", self._answer(question, terms))

    def _compute(self, question: Callable[..., object], terms: tuple[Hashable, ...]) -> object:
        with self._connection.cursor() as cursor:
            return question(cursor, *terms)


class SnapshotFollower:
    """Follows the published snapshots of one folder. A reader that is replaced goes on answering for those who hold it."""

    def __init__(self, folder: Path, open_snapshot: Callable[[Path], OpenSnapshot], find_snapshot_id: Callable[[Path], str | None]) -> None:
        self._folder, self._open, self._find_id = folder, open_snapshot, find_snapshot_id
        self._lock = threading.Lock()
        self._newest: SnapshotReader | None = None

    def find_newest_id(self) -> str | None:
        """The id of the published snapshot, without opening it; None before the first."""
        return self._find_id(self._folder)

    def open_newest(self) -> SnapshotReader | None:
        """The reader of the published snapshot; None before the first."""
        with self._lock:
            snapshot_id = self.find_newest_id()
            if snapshot_id is None:
                return None
            if self._newest is None or self._newest.snapshot_id != snapshot_id:
                self._newest = SnapshotReader(self._open(self._folder))
            return self._newest
