"""Events into files: Parquet or NDJSON, whole or not at all."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

from soundlake.contract import EVENT_SCHEMA
from soundlake.contract.encode import encode_blocks
from soundlake.errors import UsageError

FORMS = (".parquet", ".ndjson", ".ndjson.gz")
STANDARD_OUTPUT = "-"
_PART_SUFFIX = ".part"
_HARDLY_REPEATED = ("event_id", "source_ref", "played_at", "produced_at", "ms_played")


class EventWriter(Protocol):
    """Takes tables of events, one after another."""

    @property
    def takes_codes(self) -> bool:
        """Whether texts may come coded."""

    def write(self, events: pa.Table) -> None:
        """Add the events at the end."""


class EventFile:
    """One file of events, its form chosen by the name's end (FORMS); `-` is NDJSON on standard output.

    Written beside its place and moved there when the block ends well; what was begun is removed when it does not.
    Raises UsageError at once for another form, or where nothing can be written.
    """

    def __init__(self, target: str) -> None:
        self._path = Path(target)
        self._part = self._path.with_name(self._path.name + _PART_SUFFIX)
        self._to_stdout = target == STANDARD_OUTPUT
        if not self._to_stdout and not target.endswith(FORMS):
            raise UsageError(
                f"--out {target}: unknown form", next_step=f"let the name end in {', '.join(FORMS)}, or write - for standard output"
            )
        try:
            if not self._to_stdout:
                self._part.touch()
            self._writer = _open_writer(None if self._to_stdout else self._part, target)
        except OSError as cause:
            raise UsageError(
                f"--out {target}: {cause.strerror or cause}", next_step="choose a folder that exists and can be written to"
            ) from cause

    @property
    def takes_codes(self) -> bool:
        """Whether texts may come coded."""
        return self._writer.takes_codes

    def __enter__(self) -> Self:
        return self

    def write(self, events: pa.Table) -> None:
        """Add the events at the end."""
        self._writer.write(events)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()
        if self._to_stdout:
            return
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)


class _ParquetWriter:
    """zstd Parquet of plain texts, whether they come coded or not. Random ids have no dictionary: it would only cost time."""

    takes_codes = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def write(self, events: pa.Table) -> None:
        if self._writer is None:
            repeated = [field.name for field in EVENT_SCHEMA if field.name not in _HARDLY_REPEATED]
            self._writer = pq.ParquetWriter(
                self._path, events.schema, compression="zstd", compression_level=1, use_dictionary=repeated,
                write_statistics=["played_at", "produced_at"], store_schema=False,
            )  # fmt: skip
        self._writer.write_table(events)

    def close(self) -> None:
        if self._writer is None:
            self.write(EVENT_SCHEMA.empty_table())
        if self._writer is not None:
            self._writer.close()


class _NdjsonWriter:
    takes_codes = True

    def __init__(self, stream: BinaryIO | gzip.GzipFile, close: Callable[[], None] | None = None) -> None:
        self._stream = stream
        self._close = close

    def write(self, events: pa.Table) -> None:
        for block in encode_blocks(events):
            self._stream.write(block)

    def close(self) -> None:
        self._stream.flush()
        if self._close is not None:
            self._close()


def _open_writer(path: Path | None, target: str) -> _ParquetWriter | _NdjsonWriter:
    if path is None:
        return _NdjsonWriter(sys.stdout.buffer)
    if target.endswith(".parquet"):
        return _ParquetWriter(path)
    file = path.open("wb")
    if not target.endswith(".gz"):
        return _NdjsonWriter(file, file.close)
    packed = gzip.GzipFile(
        filename="", mode="wb", fileobj=file, compresslevel=4, mtime=0
    )  # no name and no time in it: same events, same bytes

    def close() -> None:
        packed.close()
        file.close()

    return _NdjsonWriter(packed, close)
