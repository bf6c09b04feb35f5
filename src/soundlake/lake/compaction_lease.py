"""One compaction of a table at a time, whatever the machine: a lease that is kept in the table's log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import Transaction

from soundlake.lake.layout import TableLayout
from soundlake.lake.protocol import CommitConflict
from soundlake.lake.store_errors import translate_store_errors

LEASE_APP_ID = "compaction/lease"
"""The application transaction whose version is the time (UTC, seconds since 1970) until which the table is leased."""

LEASE_METADATA = "soundlake_lease"
"""In the metadata of commits that change the lease only."""

_LEASE_SECONDS = 900  # longer than one partition filter takes; a killed compaction blocks the next one for so long
_RENEW_SECONDS = 300


class CompactionLease:
    """The lease of one compaction.

    delta-rs 1.6.6 detects no conflict between two compactions: both add their new files, and every row is in the table twice. It does
    detect one between a compaction and a delete. A compaction's commit ignores application transactions, so these cannot help (all tried).
    """

    def __init__(self, table: DeltaTable, layout: TableLayout) -> None:
        self._table, self._layout = table, layout
        self._written_at = 0.0

    def acquire(self) -> None:
        """Take the lease, and bring the handle to the version that has it. Raises CommitConflict if another compaction has it."""
        with translate_store_errors(self._table.table_uri):
            leased_until = self._table.transaction_version(LEASE_APP_ID) or 0
        if leased_until > time.time():
            raise CommitConflict(f"{self._table.table_uri}: another process compacts it", next_step="try again later")
        self._write(_LEASE_SECONDS)

    def renew(self) -> None:
        """Extend the lease if it is not a recent one."""
        if time.monotonic() - self._written_at > _RENEW_SECONDS:
            self._write(_LEASE_SECONDS)

    def release(self) -> None:
        """Let the next compaction begin."""
        self._write(0)

    def _write(self, seconds: int) -> None:
        """Commit the end of the lease. Of two processes that do so on the same version, the second gets a CommitConflict."""
        with translate_store_errors(self._table.table_uri):
            self._table.create_write_transaction(
                actions=[],
                mode="append",
                schema=self._table.schema(),
                partition_by=list(self._layout.partition_by),
                commit_properties=CommitProperties(
                    custom_metadata={LEASE_METADATA: str(seconds)},
                    app_transactions=[Transaction(LEASE_APP_ID, int(time.time()) + seconds)],
                ),
            )
            self._table.update_incremental()
        self._written_at = time.monotonic()


@contextmanager
def hold_compaction_lease(table: DeltaTable, layout: TableLayout) -> Iterator[CompactionLease]:
    """Hold the lease for the block. Raises CommitConflict if another process has it."""
    lease = CompactionLease(table, layout)
    lease.acquire()
    try:
        yield lease
    finally:
        lease.release()
