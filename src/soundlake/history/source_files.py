"""Files in folders, in zips and in zips in zips, read as streams. Nothing is unpacked to a path that a file names."""

from __future__ import annotations

import codecs
import gzip
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from soundlake.history.models import BrokenFile, LeftOut

HEAD_BYTES = 256 * 1024
BLOCK_BYTES = 8 * 1024 * 1024
MAX_UNPACKED_BYTES = 4 * 1024**3
"""Limit of one packed file; the largest histories known have 1 GB."""
MAX_RATIO = 300
"""Limit of unpacked over packed size for files over 64 MiB: JSON of a history has up to 30."""
MAX_FILES = 100_000
"""Limit of the files in one zip."""
MAX_LEVELS = 3
"""Limit of zips in zips."""

_SMALL_BYTES = 64 * 1024**2
_READ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, UnicodeError)
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"} | {
    bracket.encode(name): name for bracket in "[{" for name in ("utf-16-le", "utf-16-be")
}
"""The first two bytes of text in UTF-16: a byte order mark, or the bracket that JSON begins with."""
_BOM = "\ufeff"


@dataclass(frozen=True)
class SourceFile:
    """One file: its name in reports, the folders above it below the given path, its size (of a zip's member after unpacking), its path."""

    name: str
    folders: tuple[str, ...]
    size_bytes: int
    packed_bytes: int | None
    key: tuple[object, ...]
    open_stream: Callable[[], IO[bytes]]
    path: Path | None = None

    def read_head(self) -> bytes:
        """The first bytes. Raises BrokenFile."""
        for block in self._read(HEAD_BYTES):
            return block
        return b""

    def read_blocks(self, on_bytes_read: Callable[[int], None] = lambda _: None) -> Iterator[bytes]:
        """All its bytes, UTF-16 as UTF-8, and gzip unpacked. Raises BrokenFile if it cannot be read to its end or unpacks to too much."""
        for block in self._read(BLOCK_BYTES):
            on_bytes_read(len(block))
            yield block

    def _read(self, size: int) -> Iterator[bytes]:
        try:
            with self.open_stream() as raw, ExitStack() as stack:
                stream, packed = self._decode(raw, stack)
                count = 0
                while block := stream.read(size):
                    count += len(block)
                    self._check_size(count, packed)
                    yield block
        except _READ_ERRORS as cause:
            raise BrokenFile(self.name, f"cannot be read: {cause}") from cause

    def _decode(self, raw: IO[bytes], stack: ExitStack) -> tuple[IO[bytes], int | None]:
        first = raw.read(2)
        raw.seek(0)
        if first == b"\x1f\x8b":
            return cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=raw))), self.size_bytes
        if first in _UTF16:
            return cast("IO[bytes]", codecs.EncodedFile(raw, "utf-8", _UTF16[first])), self.packed_bytes
        return raw, self.packed_bytes

    def _check_size(self, count: int, packed: int | None) -> None:
        if packed is None or count <= _SMALL_BYTES:
            return
        if count > MAX_UNPACKED_BYTES:
            raise BrokenFile(self.name, f"unpacks to more than {MAX_UNPACKED_BYTES // 1024**3} GiB, more than any history")
        if count > MAX_RATIO * max(packed, 1):
            raise BrokenFile(self.name, f"unpacks to more than {MAX_RATIO} times its size, which no history does")


Found = SourceFile | LeftOut | BrokenFile


def list_folder(path: Path, stack: ExitStack) -> Iterator[Found]:
    """All files below a folder, with those in its zips. Raises OSError for a folder that cannot be listed."""
    for file in _walk(path):
        inside = file.relative_to(path)
        yield from list_file(file, stack, name=f"{path.name}/{inside.as_posix()}", folders=inside.parts[:-1])


def list_file(path: Path, stack: ExitStack, *, name: str, folders: tuple[str, ...] = ()) -> Iterator[Found]:
    """A file, or the files in it if it is a zip, whatever its name. Zips stay open as long as `stack`."""
    if not path.is_file():
        yield LeftOut(name, "not a regular file")
        return
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) in (b"PK\x03\x04", b"PK\x05\x06") or path.suffix.casefold() == ".zip"
        if not is_zip:
            yield SourceFile(name, folders, path.stat().st_size, None, (path.resolve(),), lambda: path.open("rb"), path)
            return
        archive = stack.enter_context(zipfile.ZipFile(path))
    except (zipfile.BadZipFile, OSError) as cause:
        yield BrokenFile(name, f"cannot be opened: {cause}")
        return
    yield from _list_zip(archive, name, (*folders, path.stem), (path.resolve(),), stack, level=1)


def _walk(path: Path) -> Iterator[Path]:
    for child in sorted(path.iterdir()):
        if child.is_dir() and not child.is_symlink():
            yield from _walk(child)
        else:
            yield child


def _list_zip(
    archive: zipfile.ZipFile, name: str, folders: tuple[str, ...], key: tuple[object, ...], stack: ExitStack, *, level: int
) -> Iterator[Found]:
    members = archive.infolist()
    if "[Content_Types].xml" in archive.namelist():
        yield LeftOut(name, "an office document")
        return
    if len(members) > MAX_FILES:
        yield BrokenFile(name, f"has more than {MAX_FILES:,} files, more than any export")
        return
    for member in members:
        inside = PurePosixPath(member.filename.replace("\\", "/").replace(_BOM, ""))
        if member.is_dir() or member.filename.endswith("\\"):
            continue
        file = SourceFile(
            f"{name}/{inside}",
            (*folders, *(part for part in inside.parts[:-1] if part not in ("/", "..", "."))),
            member.file_size,
            member.compress_size,
            (*key, member.filename, member.header_offset),
            lambda member=member: archive.open(member),  # type: ignore[misc]
        )
        yield from _list_member(file, stack, level)


def _list_member(file: SourceFile, stack: ExitStack, level: int) -> Iterator[Found]:
    try:
        is_zip = file.read_head()[:4] == b"PK\x03\x04"
        if not is_zip:
            yield file
        elif level >= MAX_LEVELS:
            yield LeftOut(file.name, f"a zip inside of {level} zips")
        else:
            archive = stack.enter_context(zipfile.ZipFile(_copy(file, stack)))
            yield from _list_zip(archive, file.name, (*file.folders, PurePosixPath(file.name).stem), file.key, stack, level=level + 1)
    except BrokenFile as broken:
        yield broken
    except zipfile.BadZipFile as cause:
        yield BrokenFile(file.name, f"cannot be opened: {cause}")


def _copy(file: SourceFile, stack: ExitStack) -> IO[bytes]:
    """A copy that can be read at any place, in a temporary file without a name."""
    copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  # the stack closes it
    for block in file.read_blocks():
        copy.write(block)
    return copy
