"""Writers of chunks: any number of processes can prepare bytes; the offsets determine the order."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from soundlake.contract import EVENT_SCHEMA
from soundlake.contract.encode import encode_blocks
from soundlake.local_files import replace_file

_GZIP_LEVEL, _GZIP = 4, 31
_MOSTLY_DISTINCT = ("event_id", "source_ref", "played_at", "produced_at", "ms_played")
Blocks = Iterable[pa.Buffer | bytes]


class ChunkWriter(Protocol):
    """Writes the chunks of a world: `prepare` in any order and process, `place` at the end of all chunks before."""

    @property
    def is_sequential(self) -> bool:
        """Whether a chunk can only be placed after all chunks before it."""

    def prepare(self, number: int, events: pa.Table) -> Blocks:
        """The bytes of a chunk (dictionary columns are accepted)."""

    def place(self, blocks: Blocks, offset: int) -> int:
        """Write the blocks at the offset; their size in bytes."""


@dataclass(frozen=True)
class NdjsonWriter:
    """NDJSON into an existing file, or (None) to standard output; compressed: one gzip member per chunk, without name and time."""

    path: Path | None
    is_compressed: bool = False

    @property
    def is_sequential(self) -> bool:
        """Standard output is written in order."""
        return self.path is None

    def prepare(self, number: int, events: pa.Table) -> Blocks:
        """The lines of the events; the number of the chunk is not used."""
        del number
        return self.compress(encode_blocks(events))

    def compress(self, blocks: Blocks) -> Blocks:
        """The same bytes, or a gzip member of them, produced lazily."""
        if not self.is_compressed:
            yield from blocks
            return
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
        for block in blocks:
            yield compressor.compress(block)
        yield compressor.flush()

    def place(self, blocks: Blocks, offset: int) -> int:
        """Write the blocks at the offset."""
        if self.path is None:
            return _write_all(sys.stdout.buffer, blocks)
        with self.path.open("r+b", buffering=0) as file:
            file.seek(offset)
            size = _write_all(file, blocks)
            _drop_page_cache(file, offset + size)
            return size


@dataclass(frozen=True)
class ChunkFileWriter:
    """One file per chunk in a folder, Parquet or NDJSON by `ending`; a file appears when it is complete."""

    folder: Path
    ending: str
    is_sequential: bool = False

    def prepare(self, number: int, events: pa.Table) -> Blocks:
        """Write the file of the chunk; no blocks are left to place."""
        with replace_file(self.folder / f"events-{number:06d}{self.ending}") as draft:
            if self.ending == ".parquet":
                with open_parquet(draft, events.schema) as writer:
                    writer.write_table(events)
            else:
                draft.touch()
                chunk_writer = NdjsonWriter(draft, is_compressed=self.ending.endswith(".gz"))
                chunk_writer.place(chunk_writer.prepare(number, events), 0)
        return []

    def place(self, blocks: Blocks, offset: int) -> int:
        """Does nothing: `prepare` has written the file."""
        del blocks, offset
        return 0


def open_parquet(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Parquet with zstd and plain text columns. Columns of mostly distinct values get no dictionary: it would only cost time."""
    return pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=1, store_schema=False, write_statistics=["played_at", "produced_at"],
        use_dictionary=[field.name for field in EVENT_SCHEMA if field.name not in _MOSTLY_DISTINCT],
    )  # fmt: skip


def count_bytes(blocks: Sequence[pa.Buffer | bytes]) -> int:
    """The size of the blocks in bytes."""
    return sum(len(memoryview(block)) for block in blocks)


def _write_all(file: BinaryIO, blocks: Blocks) -> int:
    written = 0
    for block in blocks:
        rest = memoryview(block)
        written += len(rest)
        while rest:
            rest = rest[file.write(rest) :]
    file.flush()
    return written


def _drop_page_cache(file: BinaryIO, end: int) -> None:
    """Start writing back the bytes below `end`, and free the page cache of those that are on disk.

    A file larger than memory would evict everything else, and on a virtual machine each new page is requested from the host: 2.5 CPU
    seconds per GiB, during which two processes wait for each other; 0.35 with this call (bench/generator.py --processes).
    """
    if hasattr(os, "posix_fadvise"):  # not on macOS
        os.posix_fadvise(file.fileno(), 0, end, os.POSIX_FADV_DONTNEED)
