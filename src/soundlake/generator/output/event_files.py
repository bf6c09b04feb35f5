"""Events into files: Parquet or NDJSON, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

from soundlake.contract import EVENT_SCHEMA
from soundlake.errors import UsageError
from soundlake.generator.output.writers import PART_SUFFIX, Blocks, ChunkFileWriter, ChunkWriter, NdjsonWriter, open_parquet

FORMS = (".parquet", ".ndjson", ".ndjson.gz")
STANDARD_OUTPUT = "-"


class EventWriter(Protocol):
    """Takes tables of events, one after another; a `press` does the same from several processes (None: there is no way)."""

    @property
    def chunk_writer(self) -> ChunkWriter | None:
        """What puts whole stretches into place."""

    def write(self, events: pa.Table) -> None:
        """Add the events (texts may come coded) at the end."""

    def write_malformed(self, records: Sequence[bytes]) -> None:
        """Add records that are no events, as they stand. Raises UsageError where they have no place."""


class EventFile:
    """One file of events, its form chosen by the name's end (FORMS); `-` is NDJSON on standard output.

    Written beside its place and moved there when the block ends well; what was begun is removed when it does not.
    Raises UsageError at once for another form, or where nothing can be written.
    """

    def __init__(self, target: str) -> None:
        self._path = Path(target)
        self._part = self._path.with_name(self._path.name + PART_SUFFIX)
        self._to_stdout = target == STANDARD_OUTPUT
        if not self._to_stdout and not target.endswith(FORMS):
            raise UsageError(
                f"--out {target}: unknown form",
                next_step=f"let the name end in {', '.join(FORMS)} or / (a folder), or write - for standard output",
            )
        if not self._to_stdout:
            check_writable(self._part, target)
        is_parquet = target.endswith(".parquet")
        self.chunk_writer = (
            None if is_parquet else NdjsonWriter(None if self._to_stdout else self._part, is_compressed=target.endswith(".gz"))
        )
        self._parquet: pq.ParquetWriter | None = None
        self._offset = 0

    def __enter__(self) -> Self:
        return self

    def write(self, events: pa.Table) -> None:
        """Add the events (texts may come coded) at the end."""
        if self.chunk_writer is None:
            self._parquet = self._parquet or open_parquet(self._part, events.schema)
            self._parquet.write_table(events)
        else:
            self._place(self.chunk_writer.prepare(0, events))

    def write_malformed(self, records: Sequence[bytes]) -> None:
        """Add records that are no events, a line each. Raises UsageError for Parquet."""
        if self.chunk_writer is None:
            raise UsageError(f"{len(records)} records that are no events have no place in Parquet", next_step="write NDJSON")
        self._place(self.chunk_writer.compress([b"".join(record + b"\n" for record in records)]))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._parquet is not None:
            self._parquet.close()
        if self._to_stdout:
            return
        if kind is not None:
            self._part.unlink(missing_ok=True)
            return
        if self._part.stat().st_size == 0:
            self._complete_empty()
        self._part.replace(self._path)

    def _place(self, blocks: Blocks) -> None:
        if self.chunk_writer is not None:
            self._offset += self.chunk_writer.place(blocks, self._offset)

    def _complete_empty(self) -> None:
        """No event at all is a file all the same."""
        if self.chunk_writer is None:
            open_parquet(self._part, EVENT_SCHEMA).close()
        else:
            self.chunk_writer.place(self.chunk_writer.compress([b""]), 0)


class EventFolder:
    """A folder with a file of events a stretch, `events-000000…`: each is there when it is whole, what is there stays.

    Raises UsageError at once for another form, where nothing can be written, or where something is already.
    """

    def __init__(self, target: str, ending: str = ".parquet") -> None:
        folder = Path(target)
        if ending not in FORMS:
            raise UsageError(f"--part-form {ending}: unknown form", next_step=f"choose one of {', '.join(FORMS)}")
        claim_empty_folder(folder)
        self.chunk_writer = ChunkFileWriter(folder, ending)
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def write(self, events: pa.Table) -> None:
        """Add a file."""
        self.chunk_writer.prepare(self._number, events)
        self._number += 1

    def write_malformed(self, records: Sequence[bytes]) -> None:
        """Raises UsageError: broken records go into one file or the log."""
        raise UsageError(f"{len(records)} records that are no events have no place in a folder", next_step="write one NDJSON file")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Whole files stay, whatever happened."""


def check_writable(part: Path, target: str) -> None:
    """Begin the file. Raises UsageError where it cannot be."""
    try:
        part.write_bytes(b"")
    except OSError as cause:
        raise UsageError(
            f"--out {target}: {cause.strerror or cause}", next_step="choose a folder that exists and can be written to"
        ) from cause


def claim_empty_folder(folder: Path) -> None:
    """Make the folder. Raises UsageError where it cannot be written to, or holds anything."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = next((path for path in folder.iterdir()), None)
        trial = folder / PART_SUFFIX
        trial.touch()
        trial.unlink()
    except OSError as cause:
        raise UsageError(f"--out {folder}: {cause.strerror}", next_step="choose a folder that can be written to") from cause
    if taken is not None:
        raise UsageError(f"--out {folder}: not empty ({taken.name} is there)", next_step="choose an empty folder")
