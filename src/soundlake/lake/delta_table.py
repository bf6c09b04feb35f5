"""One bronze table: append rows and positions in one commit, exactly once however many try."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import obstore.store
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
from deltalake.transaction import AddAction, Transaction

from soundlake.errors import PositionMoved, Unavailable
from soundlake.lake.store_errors import CommitConflict, translate_store_errors
from soundlake.lake.data_files import write_files
from soundlake.lake.layout import TableLayout
from soundlake.lake.object_store import open_filesystem

BATCH_APP_ID = "sink/batch"
NO_POSITION = -1
"""The position of a partition of which nothing is stored yet."""

# Looking for expired log files after each commit costs as much as the commit (29 of 63 ms): compaction does it instead.
_HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
_ATTEMPTS = 20
_COMMITS_PER_HANDLE = 50  # a handle kept for ever slows down with the log behind it (8 → 66 ms in 1,000 commits)
_SECONDS_PER_HANDLE = 60.0  # and should not outlive the log files between it and the newest commit


@dataclass(frozen=True)
class PositionMove:
    """One partition's step in a commit: from the last offset stored so far to the last one of the batch."""

    app_id: str
    expected: int
    last: int


def make_position_app_id(broker: str, topic: str, partition: int) -> str:
    """The name under which a table keeps the position of one partition."""
    return f"sink/{broker}/{topic}/{partition}"


class DeltaBronzeTable:
    """A bronze table as its writer sees it. Not for several threads at once.

    All that it tells (positions, batch number, rows) and every commit come from one handle, so that a commit is refused if
    anybody else committed in between. delta-rs checks application transactions only against commits newer than the handle;
    hence the handle is renewed only between commits, and positions are read again from it before each.
    `checkpoint` is called with "files_written" between writing files and committing them, `prove` before each commit.
    """

    def __init__(
        self,
        uri: str,
        layout: TableLayout,
        store: obstore.store.ObjectStore,
        storage_options: dict[str, str],
        *,
        checkpoint: Callable[[str], None] = lambda _: None,
        prove: Callable[[], None] = lambda: None,
    ) -> None:
        self.uri = uri
        self.layout = layout
        self._store = store
        self._storage_options = storage_options
        self._checkpoint = checkpoint
        self._prove = prove
        self._handle: DeltaTable | None = None
        self._commits = 0
        self._opened = 0.0

    @property
    def name(self) -> str:
        """The table's name, for example plays."""
        return self.layout.name

    def read_last_batch(self) -> int:
        """The number of the last batch, 0 when there is none."""
        return self._read_lastingly(BATCH_APP_ID) or 0

    def read_position(self, app_id: str) -> int:
        """The last offset stored of a partition, `NO_POSITION` when there is none."""
        found = self._read_lastingly(app_id)
        return NO_POSITION if found is None else found

    def refresh(self) -> None:
        """Look at the table anew."""
        with translate_store_errors(self.uri):
            self._handle = DeltaTable(self.uri, storage_options=self._storage_options)
        self._commits = 0
        self._opened = time.monotonic()

    def read(self, columns: list[str] | None = None, rows_where: pc.Expression | None = None) -> pa.Table:
        """The rows that the table holds by this handle, some columns of them and those that the filter lets pass."""
        with translate_store_errors(self.uri):
            files = open_filesystem(self.uri, self._storage_options)
            dataset = self._opened_handle().to_pyarrow_dataset(filesystem=files)
            return dataset.to_table(columns=columns, filter=rows_where)

    def append(self, rows: pa.Table, moves: Iterable[PositionMove]) -> int:
        """Append the rows (without `_batch`) and move the positions in one commit; without rows, move the positions alone.

        A commit that was refused for other partitions' sake is repeated with a new batch number, which is returned.
        Raises PositionMoved if a position is not, or no longer, where the caller thinks; Unavailable if the store fails.
        """
        wanted = list(moves)
        self._renew_handle()
        for attempt in range(_ATTEMPTS):
            try:
                self._check_positions(wanted)
                return self._append_once(rows, wanted)
            except CommitConflict:
                time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))
                self.refresh()
        raise Unavailable(f"{self.uri}: {_ATTEMPTS} commits in a row were refused", next_step="see who else writes this table")

    def append_unless_changed(self, rows: pa.Table, moves: Iterable[PositionMove], *, since_batch: int) -> int:
        """Append as `append` does, but only if `since_batch` is still the last batch; raises CommitConflict otherwise."""
        self._renew_handle()
        if self.read_last_batch() != since_batch:
            raise CommitConflict(f"{self.uri}: batch {since_batch} is no longer the last", next_step="read it again")
        return self._append_once(rows, list(moves))

    def _check_positions(self, moves: list[PositionMove]) -> None:
        for move in moves:
            stored = self._read_transaction(move.app_id)
            found = NO_POSITION if stored is None else stored
            if found != move.expected:
                raise PositionMoved(self.uri, move.app_id, move.expected, found)

    def _read_transaction(self, app_id: str) -> int | None:
        """As the handle has it. Raises CommitConflict if the log that it would read is gone."""
        with translate_store_errors(self.uri):
            found: int | None = self._opened_handle().transaction_version(app_id)
            return found

    def _read_lastingly(self, app_id: str) -> int | None:
        """The same by a new handle where the old one's log is gone: not between a check and its commit."""
        try:
            return self._read_transaction(app_id)
        except CommitConflict:
            self.refresh()
            return self._read_transaction(app_id)

    def _append_once(self, rows: pa.Table, moves: list[PositionMove]) -> int:
        self._prove()
        batch = (self._read_transaction(BATCH_APP_ID) or 0) + 1
        numbered = rows.append_column(pa.field("_batch", pa.int64()), pa.repeat(pa.scalar(batch, pa.int64()), len(rows)))
        with translate_store_errors(self.uri):
            actions = write_files(self._store, numbered.select(self.layout.schema.names), self.layout, batch)
            self._checkpoint("files_written")
            token = uuid.uuid4().hex
            try:
                self._commit(actions, moves, batch, token)
            except Exception:
                if not self._find_commit(token):
                    raise
        self._commits += 1
        return batch

    def _commit(self, actions: list[AddAction], moves: list[PositionMove], batch: int, token: str) -> None:
        handle = self._opened_handle()
        transactions = [*(Transaction(move.app_id, move.last) for move in moves), Transaction(BATCH_APP_ID, batch)]
        handle.create_write_transaction(
            actions=[*actions],
            mode="append",
            schema=handle.schema(),
            partition_by=list(self.layout.partition_by),
            commit_properties=CommitProperties(custom_metadata={"soundlake_commit": token}, app_transactions=transactions),
            post_commithook_properties=_HOOKS,
        )
        handle.update_incremental()

    def _find_commit(self, token: str) -> bool:
        """Whether a commit that seemed to fail is in the log after all: a store may carry out a request whose answer is lost."""
        self._handle = None
        return any(commit.get("soundlake_commit") == token for commit in self._opened_handle().history(limit=100))

    def _opened_handle(self) -> DeltaTable:
        if self._handle is None:
            self.refresh()
        assert self._handle is not None
        return self._handle

    def _renew_handle(self) -> None:
        if self._handle is None or self._commits >= _COMMITS_PER_HANDLE or time.monotonic() - self._opened > _SECONDS_PER_HANDLE:
            self.refresh()
