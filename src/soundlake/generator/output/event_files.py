"""Events into files: Parquet or NDJSON, complete or not there at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

from soundlake.contract import EVENT_SCHEMA
from soundlake.errors import UsageError
from soundlake.generator.output.writers import Blocks, ChunkFileWriter, ChunkWriter, NdjsonWriter, open_parquet
from soundlake.local_files import replace_file

FORMATS = (".parquet", ".ndjson", ".ndjson.gz")
STANDARD_OUTPUT = "-"


class EventWriter(Protocol):
    """Writes tables of events, in order; its `chunk_writer` writes the same from several processes (None: not supported)."""

    @property
    def chunk_writer(self) -> ChunkWriter | None:
        """Writes whole chunks at their offsets."""

    def write(self, events: pa.Table) -> None:
        """Append the events (dictionary columns are accepted)."""

    def write_malformed(self, records: Sequence[bytes]) -> None:
        """Append records that are not events. Raises UsageError if the format does not allow them."""


class EventFile:
    """One file of events; the end of its name selects the format (FORMATS); `-` is NDJSON on standard output.

    A context manager: the file appears at the end of the block, if no error was raised in it.
    Raises UsageError for another format, and on entering if the file cannot be written.
    """

    def __init__(self, target: str) -> None:
        self._target, self._files = target, ExitStack()
        if target != STANDARD_OUTPUT and not target.endswith(FORMATS):
            raise UsageError(
                f"--out {target}: unknown format",
                next_step=f"use a name that ends in {', '.join(FORMATS)} or / (a folder), or - for standard output",
            )
        self.chunk_writer: NdjsonWriter | None = NdjsonWriter(None)
        self._draft = Path(target)
        self._parquet: pq.ParquetWriter | None = None
        self._offset = 0

    def __enter__(self) -> Self:
        if self._target != STANDARD_OUTPUT:
            with ExitStack() as files:
                self._draft = files.enter_context(_begin_file(Path(self._target)))
                files.callback(self._complete)
                self._files = files.pop_all()
            is_parquet, is_compressed = self._target.endswith(".parquet"), self._target.endswith(".gz")
            self.chunk_writer = None if is_parquet else NdjsonWriter(self._draft, is_compressed=is_compressed)
        return self

    def write(self, events: pa.Table) -> None:
        """Append the events (dictionary columns are accepted)."""
        if self.chunk_writer is None:
            self._parquet = self._parquet or open_parquet(self._draft, events.schema)
            self._parquet.write_table(events)
        else:
            self._place(self.chunk_writer, self.chunk_writer.prepare(0, events))

    def write_malformed(self, records: Sequence[bytes]) -> None:
        """Append records that are not events, one per line. Raises UsageError for Parquet."""
        if self.chunk_writer is None:
            raise UsageError(f"{len(records)} malformed records cannot be written to Parquet", next_step="write NDJSON")
        self._place(self.chunk_writer, self.chunk_writer.compress([b"".join(record + b"\n" for record in records)]))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._files.__exit__(kind, error, trace)

    def _place(self, chunk_writer: NdjsonWriter, blocks: Blocks) -> None:
        self._offset += chunk_writer.place(blocks, self._offset)

    def _complete(self) -> None:
        """Close the file; without any event it is a valid file all the same."""
        if self._parquet is not None:
            self._parquet.close()
        if self._draft.stat().st_size:
            return
        if self.chunk_writer is None:
            open_parquet(self._draft, EVENT_SCHEMA).close()
        else:
            self.chunk_writer.place(self.chunk_writer.compress([b""]), 0)


class EventFolder:
    """A folder with one file of events per chunk, `events-000000…`; each appears when it is complete, and stays after an error.

    Raises UsageError for another format, or if the folder cannot be written to or is not empty.
    """

    def __init__(self, target: str, ending: str = ".parquet") -> None:
        folder = Path(target)
        if ending not in FORMATS:
            raise UsageError(f"--part-form {ending}: unknown format", next_step=f"choose one of {', '.join(FORMATS)}")
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
        """Raises UsageError: malformed records can only be written to one NDJSON file or the log."""
        raise UsageError(f"{len(records)} malformed records cannot be written to a folder", next_step="write one NDJSON file")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Complete files stay, also after an error."""


@contextmanager
def _begin_file(path: Path) -> Iterator[Path]:
    """An empty draft that replaces the file. Raises UsageError if it cannot be written."""
    with replace_file(path) as draft:
        try:
            draft.touch()
        except OSError as cause:
            raise UsageError(
                f"--out {path}: {cause.strerror or cause}", next_step="choose a folder that exists and can be written to"
            ) from cause
        yield draft


def claim_empty_folder(folder: Path) -> None:
    """Create the folder. Raises UsageError if it cannot be written to or is not empty."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        existing = next((path for path in folder.iterdir()), None)
        trial = folder / ".part"
        trial.touch()
        trial.unlink()
    except OSError as cause:
        raise UsageError(f"--out {folder}: {cause.strerror}", next_step="choose a folder that can be written to") from cause
    if existing is not None:
        raise UsageError(f"--out {folder}: not empty ({existing.name} exists)", next_step="choose an empty folder")
