"""Find the history files in folders and zips, and the listener of each."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from soundlake.errors import DataError, UsageError
from soundlake.history.models import BrokenFile

MAX_FILE_BYTES = 512 * 1024 * 1024
"""Limit of one file, which is read into memory; files of real exports have up to 13 MB."""

_PREFIXES = ("endsong", "streaming_history", "streaminghistory")
_DOWNLOAD_FOLDERS = frozenset({"my_spotify_data", "mydata", "spotify account data", "spotify extended streaming history"})
"""Names that Spotify gives to folders of a download: they do not name a listener."""
_READ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


@dataclass(frozen=True)
class ExportFile:
    """One file of an export: its name in reports, its path (and `member` of a zip), and its listener."""

    name: str
    path: Path
    member: str | None
    user_id: str
    size_bytes: int

    def read(self, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """All its bytes. Raises BrokenFile if it cannot be read or has more than `max_bytes` (after unpacking, whatever the zip states)."""
        try:
            data = self._read(max_bytes + 1)
        except _READ_ERRORS as cause:
            raise BrokenFile(self.name, f"cannot be read: {cause}") from cause
        if len(data) > max_bytes:
            raise BrokenFile(self.name, f"is larger than {max_bytes // 1024**2} MiB, more than any file of an export")
        return data

    def _read(self, count: int) -> bytes:
        if self.member is None:
            with self.path.open("rb") as file:
                return file.read(count)
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
            return file.read(count)


@dataclass(frozen=True)
class Exports:
    """The files to read, the names of files that are not history, and the archives that cannot be opened."""

    files: tuple[ExportFile, ...]
    left_out: tuple[str, ...]
    broken: tuple[BrokenFile, ...]

    @property
    def listeners(self) -> tuple[str, ...]:
        """The listeners, in the order of their files."""
        return tuple(dict.fromkeys(file.user_id for file in self.files))


@dataclass(frozen=True)
class _Entry:
    name: str
    path: Path
    member: str | None
    folder: str | None  # the first folder below the given path that can name a listener; None: there is none
    size_bytes: int

    @property
    def is_history(self) -> bool:
        base = self.name.rpartition("/")[2].casefold()
        return base.startswith(_PREFIXES) and base.endswith(".json")


def find_exports(paths: Sequence[Path], user: str | None) -> Exports:
    """Find the history files of each path: a folder with all its sub-folders, a zip, or a file. Nothing is unpacked.

    All belong to `user`. Without it, a folder of history files is one listener with the folder's name, and in a folder of folders each
    sub-folder is a listener; folders that Spotify makes in a download do not count as names. A file that two paths lead to is read once.
    Raises UsageError if the listener is ambiguous or a path does not exist, DataError if no history is found.
    """
    files: list[ExportFile] = []
    left_out: list[str] = []
    broken: list[BrokenFile] = []
    for path in dict.fromkeys(path.expanduser().resolve() for path in paths):
        try:
            entries = list(_list_entries(path))
        except zipfile.BadZipFile as cause:
            broken.append(BrokenFile(path.name, f"is not a zip, or a damaged one: {cause}"))
            continue
        history = [entry for entry in entries if entry.is_history or (entry.path == path and entry.member is None)]
        left_out += [entry.name for entry in entries if entry not in history]
        files += _assign_listeners(path, history, user)
    if not files and not broken:
        raise _make_nothing_error(paths, left_out)
    once = {(file.path, file.member): file for file in reversed(files)}
    return Exports(tuple(sorted(once.values(), key=_sort_key)), tuple(sorted(left_out)), tuple(broken))


def _list_entries(path: Path) -> Iterable[_Entry]:
    if path.is_dir():
        return _list_folder(path)
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder", next_step="give the folder or the zip that Spotify sent")
    if path.suffix.casefold() == ".zip":
        return _list_zip(path)
    return [_Entry(path.name, path, None, None, path.stat().st_size)]


def _list_folder(path: Path) -> Iterator[_Entry]:
    def refuse(error: OSError) -> None:
        raise UsageError(f"{error.filename}: cannot be listed: {error.strerror}", next_step="make it readable") from error

    for folder, _, names in os.walk(path, onerror=refuse):
        for name in names:
            file = Path(folder, name)
            inside = file.relative_to(path)
            first = next((part for part in inside.parts[:-1] if part.casefold() not in _DOWNLOAD_FOLDERS), None)
            yield _Entry(f"{path.name}/{inside.as_posix()}", file, None, first, file.lstat().st_size)


def _list_zip(path: Path) -> Iterator[_Entry]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                yield _Entry(f"{path.name}/{member.filename}", path, member.filename, None, member.file_size)


def _assign_listeners(path: Path, history: Sequence[_Entry], user: str | None) -> list[ExportFile]:
    """The files with their listeners."""
    if user is None and history and not path.is_dir():
        raise UsageError(f"{path.name}: a file or a zip does not name its listener", next_step="name the listener: --user NAME")
    loose = [entry for entry in history if entry.folder is None]
    if user is None and loose and len(loose) < len(history):
        raise UsageError(
            f"{path}: there are history files in it and in its sub-folders, so the listener is ambiguous",
            next_step="give --user NAME if all files belong to one listener, or put each listener's files into a sub-folder",
        )
    owner = next((part.name for part in (path, *path.parents) if part.name.casefold() not in _DOWNLOAD_FOLDERS), path.name)
    return [ExportFile(entry.name, entry.path, entry.member, user or entry.folder or owner, entry.size_bytes) for entry in history]


def _sort_key(file: ExportFile) -> tuple[str, bool, str]:
    """By listener, podcasts first: their rows say that they are episodes, which rows of a mixed file do not."""
    return file.user_id, "podcast" not in file.name.casefold(), file.name


def _make_nothing_error(paths: Sequence[Path], left_out: Sequence[str]) -> DataError:
    zips = [name for name in left_out if name.casefold().endswith(".zip")]
    return DataError(
        f"{', '.join(map(str, paths))}: no listening history found (endsong*.json, Streaming_History*.json, StreamingHistory*.json)",
        next_step=f"give the zip itself: {zips[0]}" if zips else "give the folder or the zip that Spotify sent, as it was downloaded",
    )
