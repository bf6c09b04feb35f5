"""What is done with the log of a Delta table alone: creating the table, and reading the notes of its commits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
from deltalake import DeltaTable

from soundlake.lake.store_errors import translate_store_errors


def create_table(
    uri: str,
    schema: pa.Schema,
    *,
    partition_by: tuple[str, ...],
    properties: Mapping[str, str],
    storage_options: dict[str, str],
    check_store: Callable[[], None],
) -> bool:
    """Create an empty table unless there is one, after `check_store`; returns whether it did. Raises Unavailable or SettingsError."""
    with translate_store_errors(uri):
        if DeltaTable.is_deltatable(uri, storage_options):
            return False
        check_store()
        DeltaTable.create(
            uri,
            schema=schema,
            mode="ignore",
            partition_by=list(partition_by),
            configuration=dict(properties),
            storage_options=storage_options,
        )
        return True


def read_commit_notes(uri: str, storage_options: dict[str, str], *, limit: int) -> list[str]:
    """The notes (`userMetadata`) of the newest `limit` commits, newest first, without commits that have none. Raises Unavailable."""
    with translate_store_errors(uri):
        commits = DeltaTable(uri, storage_options=storage_options).history(limit=limit)
    return [commit["userMetadata"] for commit in commits if commit.get("userMetadata")]
