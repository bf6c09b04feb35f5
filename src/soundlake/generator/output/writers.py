"""How events become bytes in their places: any number of processes may press, the places alone make the order."""

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

PART_SUFFIX = ".part"
_GZIP_LEVEL, _GZIP = 4, 31
_MOSTLY_DISTINCT = ("event_id", "source_ref", "played_at", "produced_at", "ms_played")
Blocks = Iterable[pa.Buffer | bytes]


class ChunkWriter(Protocol):
    """Turns the stretches of a world into bytes: `prepare` in any order and process, `place` where all before it end."""

    @property
    def is_sequential(self) -> bool:
        """Whether a stretch can only be placed once all before it are."""

    def prepare(self, number: int, events: pa.Table) -> Blocks:
        """The bytes of a stretch (texts may come coded)."""

    def place(self, blocks: Blocks, offset: int) -> int:
        """Put them where they belong; how many bytes they were."""


@dataclass(frozen=True)
class NdjsonWriter:
    """NDJSON into a file that exists, or (None) to standard output; packed: a gzip member a stretch, without name and time."""

    path: Path | None
    is_compressed: bool = False

    @property
    def is_sequential(self) -> bool:
        """Standard output takes one byte after another."""
        return self.path is None

    def prepare(self, number: int, events: pa.Table) -> Blocks:
        """The lines of the events; the number of the stretch does not matter."""
        del number
        return self.compress(encode_blocks(events))

    def compress(self, blocks: Blocks) -> Blocks:
        """The same bytes, or their gzip member, made while they are taken."""
        if not self.is_compressed:
            yield from blocks
            return
        packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
        for block in blocks:
            yield packer.compress(block)
        yield packer.flush()

    def place(self, blocks: Blocks, offset: int) -> int:
        """Write them there."""
        if self.path is None:
            return _write_all(sys.stdout.buffer, blocks)
        with self.path.open("r+b", buffering=0) as file:
            file.seek(offset)
            size = _write_all(file, blocks)
            _drop_page_cache(file, offset + size)
            return size


@dataclass(frozen=True)
class ChunkFileWriter:
    """A file a stretch in a folder, Parquet or NDJSON by `ending`: whole or not there."""

    folder: Path
    ending: str
    is_sequential: bool = False

    def prepare(self, number: int, events: pa.Table) -> Blocks:
        """Write the file of the stretch; nothing is left to place."""
        name = f"events-{number:06d}{self.ending}"
        part = self.folder / f".{name}{PART_SUFFIX}"
        try:
            if self.ending == ".parquet":
                with open_parquet(part, events.schema) as writer:
                    writer.write_table(events)
            else:
                part.touch()
                chunk_writer = NdjsonWriter(part, is_compressed=self.ending.endswith(".gz"))
                chunk_writer.place(chunk_writer.prepare(number, events), 0)
            part.replace(self.folder / name)
        finally:
            part.unlink(missing_ok=True)
        return []

    def place(self, blocks: Blocks, offset: int) -> int:
        """Nothing: the file is in its place."""
        del blocks, offset
        return 0


def open_parquet(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Parquet packed by zstd, of plain texts, whether they come coded or not. Random ids have no dictionary: it would only cost time."""
    return pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=1, store_schema=False, write_statistics=["played_at", "produced_at"],
        use_dictionary=[field.name for field in EVENT_SCHEMA if field.name not in _MOSTLY_DISTINCT],
    )  # fmt: skip


def count_bytes(blocks: Sequence[pa.Buffer | bytes]) -> int:
    """How many bytes they are."""
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
    """Begin to write to disk what stands below `end`, and free the memory of what is there already.

    A file larger than memory would push out everything else, and on a virtual machine each new page is asked of the host: 2.5 seconds of
    processor time a GiB, in which two processes wait for each other; 0.35 so (bench/generator.py --processes).
    """
    if hasattr(os, "posix_fadvise"):  # not on macOS
        os.posix_fadvise(file.fileno(), 0, end, os.POSIX_FADV_DONTNEED)
