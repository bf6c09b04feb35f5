"""Open event files: recognise their packing and form by their first bytes, and read them as blocks of UTF-8 text."""

from __future__ import annotations

import bz2
import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, cast

import pyarrow as pa

from soundlake.history.csv_rows import has_bare_returns
from soundlake.history.event_files.csv_header import read_csv_header
from soundlake.history.models import BrokenFile

Form = Literal["parquet", "lines", "values", "csv", "empty"]
"""`lines`: an object a line; `values`: arrays of objects, or objects over several lines."""
OnBytesRead = Callable[[int], None]
"""Called with the bytes read since the last call."""

PARQUET_MAGIC = b"PAR1"
_BLOCK_BYTES = 2 * 1024 * 1024
_HEAD_BYTES = 64 * 1024
_LINE_NAMES = (".ndjson", ".jsonl", ".json")
_PACKED_NAMES = (".gz", ".zst", ".bz2")
_GZIP, _ZSTD, _BZIP2 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh"
_OTHER_KINDS = {
    b"PK\x03\x04": "a zip or an Excel workbook: unpack it, or save it as CSV",
    b"\xfd7zXZ": "packed with xz: unpack it",
    b"SQLite format 3": "an SQLite database: export its table as CSV",
    b"ORC": "ORC: write Parquet",
    b"Obj\x01": "Avro: write Parquet",
    b"ARROW1": "Arrow or Feather: write Parquet",
}
_READ_ERRORS = (EOFError, zlib.error, OSError, pa.ArrowException)


@dataclass(frozen=True)
class EventFile:
    """A file of events: its name in reports, its path, and the known fields that its folders name (`user_id=anna`), as text."""

    name: str
    path: Path
    folder_fields: dict[str, str | None] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Its size on the disk."""
        return self.path.stat().st_size


def recognise_form(file: EventFile) -> Form:
    """The form of the file by its first bytes; the name decides only where they could be anything. Raises BrokenFile with what it is."""
    raw = read_head(file)
    if raw.startswith(PARQUET_MAGIC):
        _check_not_packed(file)
        return "parquet"
    text = raw.lstrip()
    if not text:
        return "empty"
    if text.startswith((b"[", b"{")):
        is_spread = text.startswith(b"[") or text.split(b"\n", 1)[0].strip() == b"{" or has_bare_returns(text)
        return "values" if is_spread else "lines"
    if read_csv_header(raw):
        return "csv"
    name = file.path.name.casefold()
    if name.endswith(_LINE_NAMES) or (name.endswith(_PACKED_NAMES) and name.rpartition(".")[0].endswith(_LINE_NAMES)):
        return "lines"
    kind = next((kind for magic, kind in _OTHER_KINDS.items() if raw.startswith(magic)), None)
    first_line = raw.split(b"\n", 1)[0][:60].decode("utf-8", "replace").strip()
    raise BrokenFile(
        file.name,
        f"is {kind}" if kind else f"is neither Parquet nor JSON, and its first line names no field of an event: {first_line!r}",
    )


def read_head(file: EventFile) -> bytes:
    """The first 64 KiB of the unpacked file, less if it breaks before. Raises BrokenFile if it cannot be opened."""
    head = b""
    try:
        for block in read_blocks(file, lambda _: None, _HEAD_BYTES):
            head += block
            if len(head) >= _HEAD_BYTES:
                break
    except BrokenFile:
        if not head:
            raise
    return head


def read_blocks(file: EventFile, on_bytes_read: OnBytesRead, block_bytes: int = _BLOCK_BYTES) -> Iterator[bytes]:
    """The unpacked file, text as UTF-8 without a byte order mark, in blocks.

    Raises BrokenFile where it cannot be unpacked any further, after all blocks before that point.
    """
    decode, done = None, 0
    with _open(file) as packed:
        for block, cause in _read_unpacked(packed, block_bytes):
            decode = decode or _find_decoder(block)
            try:
                text = decode(block)
            except UnicodeError as not_text:
                text, cause = b"", not_text  # noqa: PLW2901
            if text:
                yield text
            on_bytes_read(packed.tell() - done)
            done = packed.tell()
            if cause is not None:
                raise BrokenFile(file.name, f"cannot be read to its end: {cause}", byte=done) from cause


def _check_not_packed(file: EventFile) -> None:
    with _open(file) as stream:
        if stream.read(len(PARQUET_MAGIC)) != PARQUET_MAGIC:
            raise BrokenFile(file.name, "is Parquet that was packed again: unpack it")


def _open(file: EventFile) -> IO[bytes]:
    try:
        return file.path.open("rb")
    except OSError as cause:
        raise BrokenFile(file.name, f"cannot be opened: {cause.strerror}", byte=0) from cause


def _read_unpacked(packed: IO[bytes], size: int) -> Iterator[tuple[bytes, Exception | None]]:
    """Blocks of that size; with the last one the error that ends the file before its end."""
    parts: list[bytes] = []
    cause: Exception | None = None
    try:
        stream = _unpack(packed)
        # An error must lose no byte before it: read1 returns what is unpacked already.
        while part := stream.read1(size) if hasattr(stream, "read1") else stream.read(size):
            parts.append(part)
            if sum(map(len, parts)) >= size:
                yield b"".join(parts), None
                parts = []
    except _READ_ERRORS as error:
        cause = error
    if parts or cause is not None:
        yield b"".join(parts), cause


def _unpack(packed: IO[bytes]) -> IO[bytes]:
    magic = packed.read(4)
    packed.seek(0)
    if magic.startswith(_GZIP):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=packed))
    if magic.startswith(_BZIP2):
        return bz2.BZ2File(packed)
    if magic.startswith(_ZSTD):
        stream: IO[bytes] = pa.CompressedInputStream(pa.PythonFile(packed), "zstd")
        return stream
    return packed


def _find_decoder(start: bytes) -> Callable[[bytes], bytes]:
    """What makes UTF-8 of the blocks; `start` is the first one."""
    utf16 = _recognise_utf16(start)
    if utf16 is None:
        return _SkipBytes(codecs.BOM_UTF8 if start.startswith(codecs.BOM_UTF8) else b"")
    decoder = codecs.getincrementaldecoder(utf16)()
    return lambda block: decoder.decode(block).encode()


def _recognise_utf16(start: bytes) -> str | None:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if start[1:2] == b"\0" and start[:1] > b"\0":
        return "utf-16-le"
    return "utf-16-be" if start[:1] == b"\0" and start[1:2] > b"\0" else None


class _SkipBytes:
    """Removes a prefix from the first block."""

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix

    def __call__(self, block: bytes) -> bytes:
        text, self._prefix = block.removeprefix(self._prefix), b""
        return text
