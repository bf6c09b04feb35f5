"""A bronze table on Delta Lake: rows and positions in one commit, each record once whatever fails."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable

import obstore.store
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
from deltalake.transaction import AddAction, Transaction

from soundlake.errors import PositionMoved, Unavailable
from soundlake.lake.data_files import write_files
from soundlake.lake.layout import TableLayout
from soundlake.lake.object_store import open_filesystem
from soundlake.lake.protocol import NO_POSITION, Checkpoint, CommitConflict, PositionMove, ignore_checkpoint, list_transactions
from soundlake.lake.store_errors import translate_store_errors
from soundlake.retries import retry_policy

BATCH_APP_ID = "sink/batch"
"""The application transaction that counts a table's batches. It is in every commit, so that any two commits conflict."""

# Looking for expired log files after each commit costs as much as the commit (29 of 63 ms): compaction does it instead.
_HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
_ATTEMPTS = 20
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.02, 1.28
_COMMITS_PER_HANDLE = 50  # a handle kept for ever slows down with the log behind it (8 → 66 ms in 1,000 commits)
_SECONDS_PER_HANDLE = 60.0  # and must not outlive the log files between it and the newest commit


class DeltaBronzeTable:
    """A `BronzeTable` whose view is one delta-rs handle.

    delta-rs checks application transactions only against commits newer than the handle. So the handle is renewed between commits
    only, and the positions are read from the new handle before each commit.
    `checkpoint` is called with "files_written" between writing files and committing them, `check_store` before each commit.
    """

    def __init__(
        self,
        uri: str,
        layout: TableLayout,
        store: obstore.store.ObjectStore,
        storage_options: dict[str, str],
        *,
        checkpoint: Checkpoint = ignore_checkpoint,
        check_store: Callable[[], None] = lambda: None,
    ) -> None:
        self.uri = uri
        self.layout = layout
        self._store = store
        self._storage_options = storage_options
        self._checkpoint = checkpoint
        self._check_store = check_store
        self._handle: DeltaTable | None = None
        self._commits = 0
        self._opened_at = 0.0

    def read_last_batch(self) -> int:
        """The number of the last commit, 0 when there is none."""
        return self._read_current_transaction(BATCH_APP_ID) or 0

    def read_position(self, app_id: str) -> int:
        """The last offset stored of a partition, `NO_POSITION` when there is none."""
        found = self._read_current_transaction(app_id)
        return NO_POSITION if found is None else found

    def refresh(self) -> None:
        """Open a new handle on the newest version. Raises Unavailable."""
        with translate_store_errors(self.uri):
            self._handle = DeltaTable(self.uri, storage_options=self._storage_options)
        self._commits = 0
        self._opened_at = time.monotonic()

    def read(self, columns: list[str] | None = None, rows_where: pc.Expression | None = None) -> pa.Table:
        """The rows of the handle's version: some columns of them, and those that the filter lets pass."""
        with translate_store_errors(self.uri):
            files = open_filesystem(self.uri, self._storage_options)
            dataset = self._get_handle().to_pyarrow_dataset(filesystem=files)
            return dataset.to_table(columns=columns, filter=rows_where)

    def append(self, rows: pa.Table, moves: Iterable[PositionMove]) -> int:
        """Append rows (without `_batch`) and move positions in one commit; returns its batch number. Without rows, only positions move.

        Commit conflicts are retried with backoff, each time with a new batch number.
        Raises PositionMoved if a position is not where the caller expects it, Unavailable if the store fails or conflicts do not end.
        """
        policy = retry_policy(
            first_wait_seconds=_FIRST_WAIT_SECONDS, longest_wait_seconds=_LONGEST_WAIT_SECONDS, stop=_ATTEMPTS, on=CommitConflict
        )
        try:
            return policy(self._append_at_positions, rows, list(moves))
        except CommitConflict as cause:
            raise Unavailable(
                f"{self.uri}: {_ATTEMPTS} commits in a row conflicted with other writers", next_step="find out who else writes this table"
            ) from cause

    def append_unless_changed(self, rows: pa.Table, moves: Iterable[PositionMove], *, since_batch: int) -> int:
        """Append only if `since_batch` is still the last batch; raises CommitConflict otherwise."""
        self._renew_handle()
        if self.read_last_batch() != since_batch:
            raise CommitConflict(f"{self.uri}: batch {since_batch} is no longer the last", next_step="read it again")
        return self._append_once(rows, list(moves))

    def _append_at_positions(self, rows: pa.Table, moves: list[PositionMove]) -> int:
        self._renew_handle()
        try:
            self._check_positions(moves)
            return self._append_once(rows, moves)
        except CommitConflict:
            self._handle = None  # the next attempt opens a new one, after its wait
            raise

    def _check_positions(self, moves: list[PositionMove]) -> None:
        for move in moves:
            found = self._read_stored(move.app_id)
            if found != move.expected:
                raise PositionMoved(self.uri, move.app_id, move.expected, found)

    def _read_transaction(self, app_id: str) -> int | None:
        """The handle's version of an application transaction. Raises CommitConflict if the log files that it needs are deleted."""
        with translate_store_errors(self.uri):
            found: int | None = self._get_handle().transaction_version(app_id)
            return found

    def _read_stored(self, app_id: str) -> int:
        """The same, `NO_POSITION` when it is not set."""
        found = self._read_transaction(app_id)
        return NO_POSITION if found is None else found

    def _read_current_transaction(self, app_id: str) -> int | None:
        """The same as `_read_transaction`, by a new handle if the old one's log files are deleted.

        Not for use between a check and its commit.
        """
        try:
            return self._read_transaction(app_id)
        except CommitConflict:
            self.refresh()
            return self._read_transaction(app_id)

    def _append_once(self, rows: pa.Table, moves: list[PositionMove]) -> int:
        self._check_store()
        batch = (self._read_transaction(BATCH_APP_ID) or 0) + 1
        numbered = rows.append_column(pa.field("_batch", pa.int64()), pa.repeat(pa.scalar(batch, pa.int64()), len(rows)))
        with translate_store_errors(self.uri):
            actions = write_files(self._store, numbered.select(self.layout.schema.names), self.layout, batch)
            self._checkpoint("files_written")
            token = uuid.uuid4().hex
            try:
                self._commit(actions, moves, batch, token)
            except Exception:
                if not self._is_committed(token):
                    raise
        self._commits += 1
        return batch

    def _commit(self, actions: list[AddAction], moves: list[PositionMove], batch: int, token: str) -> None:
        handle = self._get_handle()
        moved = [found for move in moves for found in list_transactions(move, self._read_stored).items()]
        transactions = [*(Transaction(app_id, version) for app_id, version in moved), Transaction(BATCH_APP_ID, batch)]
        handle.create_write_transaction(
            actions=[*actions],
            mode="append",
            schema=handle.schema(),
            partition_by=list(self.layout.partition_by),
            commit_properties=CommitProperties(custom_metadata={"soundlake_commit": token}, app_transactions=transactions),
            post_commithook_properties=_HOOKS,
        )
        handle.update_incremental()

    def _is_committed(self, token: str) -> bool:
        """Whether a commit that seemed to fail is in the log: a store may carry out a request whose response is lost."""
        self._handle = None
        return any(commit.get("soundlake_commit") == token for commit in self._get_handle().history(limit=100))

    def _get_handle(self) -> DeltaTable:
        if self._handle is None:
            self.refresh()
        assert self._handle is not None
        return self._handle

    def _renew_handle(self) -> None:
        if self._handle is None or self._commits >= _COMMITS_PER_HANDLE or time.monotonic() - self._opened_at > _SECONDS_PER_HANDLE:
            self.refresh()
