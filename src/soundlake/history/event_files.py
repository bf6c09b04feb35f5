"""Read files of events in the contract's own fields: Parquet or NDJSON (plain, .gz, .zst), as records of the log, in batches."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from soundlake.contract import EVENT_SCHEMA
from soundlake.contract.encode import encode_events
from soundlake.errors import UsageError
from soundlake.history.models import BrokenFile

_BATCH_ROWS = 50_000
_BLOCK_BYTES = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_LINES = (".ndjson", ".jsonl", ".json")
OnBytesRead = Callable[[int], None]


def check_event_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files, each once. Raises UsageError if a file does not exist or is of another kind."""
    files = tuple(dict.fromkeys(path.expanduser().resolve() for path in paths))
    for path in files:
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file", next_step="give files of events: Parquet or NDJSON")
        if _find_kind(path) is None:
            raise UsageError(
                f"{path}: neither Parquet nor NDJSON by its name", next_step="name it .parquet, .ndjson or .jsonl (.gz and .zst too)"
            )
    return files


def read_event_records(path: Path, on_bytes_read: OnBytesRead) -> Iterator[list[bytes]]:
    """The events of one file, each as one JSON object, valid or not. `on_bytes_read` is called with the bytes read since the last call.

    Raises BrokenFile if the file cannot be read to its end, after the batches before that point.
    """
    return _read_parquet(path, on_bytes_read) if _find_kind(path) == ".parquet" else _read_lines(path, on_bytes_read)


def _find_kind(path: Path) -> str | None:
    suffixes = [suffix.casefold() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] in (".gz", ".zst")
    kind = suffixes[-2 if packed and len(suffixes) > 1 else -1] if suffixes else ""
    if kind in (".parquet", ".pq"):
        return None if packed else ".parquet"
    return ".ndjson" if kind in _LINES else None


def _read_lines(path: Path, on_bytes_read: OnBytesRead) -> Iterator[list[bytes]]:
    rest, seen = b"", 0
    with path.open("rb") as file, _unpack(path, file) as stream:
        while block := _read_block(path, file, stream):
            head, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                yield _split(head)
            on_bytes_read(file.tell() - seen)
            seen = file.tell()
    if rest.strip():
        yield _split(rest)


def _split(block: bytes) -> list[bytes]:
    """The lines that are not blank."""
    return [line for line in block.removeprefix(_BOM).split(b"\n") if line and not line.isspace()]


def _unpack(path: Path, file: IO[bytes]) -> IO[bytes]:
    if path.suffix.casefold() == ".gz":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if path.suffix.casefold() == ".zst":
        stream: IO[bytes] = pa.CompressedInputStream(pa.PythonFile(file), "zstd")
        return stream
    return file


def _read_block(path: Path, file: IO[bytes], stream: IO[bytes]) -> bytes:
    try:
        return stream.read(_BLOCK_BYTES)
    except (EOFError, zlib.error, OSError, pa.ArrowException) as cause:
        raise BrokenFile(path.name, f"cannot be unpacked to its end: {cause}", byte=file.tell()) from cause


def _read_parquet(path: Path, on_bytes_read: OnBytesRead) -> Iterator[list[bytes]]:
    size, done = path.stat().st_size, 0
    try:
        with pq.ParquetFile(path) as file:
            count = max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(_BATCH_ROWS):
                yield encode_rows(pa.table(batch))
                on_bytes_read(size * len(batch) // count)
                done += len(batch)
    except (pa.ArrowException, OSError) as cause:
        raise BrokenFile(path.name, f"cannot be read to its end, only the first {done:,} rows: {cause}") from cause


def encode_rows(rows: pa.Table) -> list[bytes]:
    """Each row as one JSON object: by column if all columns are the contract's and can be cast to its types, else row by row."""
    try:
        fields = [EVENT_SCHEMA.field(name) for name in rows.column_names]
        return encode_events(pa.table([rows[field.name].cast(field.type) for field in fields], schema=pa.schema(fields)))
    except (KeyError, pa.ArrowException):
        return [_dump({name: value for name, value in row.items() if value is not None}) for row in rows.to_pylist()]


def _dump(row: dict[str, object]) -> bytes:
    return orjson.dumps(row, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC)
