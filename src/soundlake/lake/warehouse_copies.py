"""Copies of the warehouse's tables in the lake: Delta tables, one version a build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import TableNotFoundError
from deltalake.transaction import Transaction

from soundlake.lake.store_errors import translate_store_errors

BUILD_APP_ID = "warehouse/build"
CONTENT_APP_ID = "warehouse/content"
RETENTION_HOURS = 24
_VERSIONS_PER_VACUUM = 60


def read_copied_build(uri: str, storage_options: Mapping[str, str], *, partition: str | None = None) -> int | None:
    """The build that the copy was last written from; None if there is no copy, or it has another partition column."""
    try:
        table = DeltaTable(uri, storage_options=dict(storage_options))
    except TableNotFoundError:
        return None
    has_columns = table.metadata().partition_columns == ([] if partition is None else [partition])
    return table.transaction_version(BUILD_APP_ID) if has_columns else None


def read_copied_content(uri: str, storage_options: Mapping[str, str]) -> int | None:
    """The content number that the copy was last written with; None if there is no copy, or it has no such number."""
    try:
        return DeltaTable(uri, storage_options=dict(storage_options)).transaction_version(CONTENT_APP_ID)
    except TableNotFoundError:
        return None


def write_copy(
    uri: str,
    rows: pa.RecordBatchReader,
    build: int,
    storage_options: Mapping[str, str],
    *,
    partition: str | None = None,
    only: Sequence[str] | None = None,
    content: int | None = None,
) -> None:
    """Replace the copy's rows by these, as of this build, in one commit; with `only`, just those values of the partition column.

    `content` is a number for the rows, such as a hash: a caller that finds it in the copy need not write them again.
    """
    predicate = None if only is None else f"{partition} in ({', '.join(repr(value) for value in only or [''])})"  # '' matches no row
    transactions = [Transaction(BUILD_APP_ID, build)] + ([] if content is None else [Transaction(CONTENT_APP_ID, content)])
    with translate_store_errors(uri):
        write_deltalake(
            uri,
            rows,
            mode="overwrite",
            partition_by=None if partition is None else [partition],
            predicate=predicate,
            schema_mode=None if predicate else "overwrite",
            storage_options=dict(storage_options),
            writer_properties=WriterProperties(compression="ZSTD"),
            commit_properties=CommitProperties(app_transactions=transactions),
        )
        table = DeltaTable(uri, storage_options=dict(storage_options))
        if table.version() % _VERSIONS_PER_VACUUM == _VERSIONS_PER_VACUUM - 1:
            table.vacuum(RETENTION_HOURS, dry_run=False, enforce_retention_duration=False)
