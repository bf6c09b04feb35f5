"""Which files of a folder or a zip are listening history, and whose."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from soundlake.errors import DataError, UsageError
from soundlake.history.json_rows import BrokenFile

MAX_FILE_BYTES = 512 * 1024 * 1024
"""A file is read as a whole; Spotify's own have 13 MB at most."""

_BEGINNINGS = ("endsong", "streaming_history", "streaminghistory")
_SPOTIFYS_FOLDERS = frozenset({"my_spotify_data", "mydata", "spotify account data", "spotify extended streaming history"})
"""Folders of a download as Spotify names them: they say nothing of whose it is."""
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


@dataclass(frozen=True)
class ExportFile:
    """One file of an export: its name in reports, where it is (`member` of a zip, or a file), and whose it is."""

    name: str
    path: Path
    member: str | None
    user_id: str
    size_bytes: int

    def read(self, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """All its bytes. Raises BrokenFile if they cannot be had, or are more than `max_bytes` (a zip's own figure is not believed)."""
        try:
            data = self._read(max_bytes + 1)
        except _DAMAGES as cause:
            raise BrokenFile(self.name, f"cannot be read: {cause}") from cause
        if len(data) > max_bytes:
            raise BrokenFile(self.name, f"is larger than {max_bytes // 1024**2} MiB, which no file of an export is")
        return data

    def _read(self, count: int) -> bytes:
        if self.member is None:
            with self.path.open("rb") as file:
                return file.read(count)
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
            return file.read(count)


@dataclass(frozen=True)
class Exports:
    """What was found: the files to read, the names of those that are no history, and archives that cannot be opened."""

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
    folder: str | None  # the first folder below the given path that can be a listener's; None: it lies there itself
    size_bytes: int

    @property
    def is_history(self) -> bool:
        base = self.name.rpartition("/")[2].casefold()
        return base.startswith(_BEGINNINGS) and base.endswith(".json")


def find_exports(paths: Sequence[Path], user: str | None) -> Exports:
    """Find the history files below each path (a folder, searched to the bottom; a zip; a file); nothing is unpacked.

    All are of `user`. Without it the files of a folder are of the listener named like the folder, or, where they lie in
    sub-folders, each sub-folder is a listener; the folders that Spotify makes in a download are looked through. A file that two
    paths lead to is read once. Raises UsageError where that leaves a doubt or a path is not there, DataError
    where no history is found.
    """
    files: list[ExportFile] = []
    left_out: list[str] = []
    broken: list[BrokenFile] = []
    for path in dict.fromkeys(path.expanduser().resolve() for path in paths):
        try:
            entries = list(_list_entries(path))
        except zipfile.BadZipFile as cause:
            broken.append(BrokenFile(path.name, f"is no zip, or a damaged one: {cause}"))
            continue
        history = [entry for entry in entries if entry.is_history or (entry.path == path and entry.member is None)]
        left_out += [entry.name for entry in entries if entry not in history]
        files += _assign(path, history, user)
    if not files and not broken:
        raise _report_nothing(paths, left_out)
    once = {(file.path, file.member): file for file in reversed(files)}
    return Exports(tuple(sorted(once.values(), key=_reading_order)), tuple(sorted(left_out)), tuple(broken))


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
            first = next((part for part in inside.parts[:-1] if part.casefold() not in _SPOTIFYS_FOLDERS), None)
            yield _Entry(f"{path.name}/{inside.as_posix()}", file, None, first, file.lstat().st_size)


def _list_zip(path: Path) -> Iterator[_Entry]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                yield _Entry(f"{path.name}/{member.filename}", path, member.filename, None, member.file_size)


def _assign(path: Path, history: Sequence[_Entry], user: str | None) -> list[ExportFile]:
    """Each file with its listener."""
    if user is None and history and not path.is_dir():
        raise UsageError(f"{path.name}: whose history is it? A file or zip does not say", next_step="name the listener: --user NAME")
    loose = [entry for entry in history if entry.folder is None]
    if user is None and loose and len(loose) < len(history):
        raise UsageError(
            f"{path}: history lies in it and in its sub-folders, so it is not clear whose it is",
            next_step="give --user NAME if all of it is one listener's, or put each listener's files into a sub-folder",
        )
    owner = next((part.name for part in (path, *path.parents) if part.name.casefold() not in _SPOTIFYS_FOLDERS), path.name)
    return [ExportFile(entry.name, entry.path, entry.member, user or entry.folder or owner, entry.size_bytes) for entry in history]


def _reading_order(file: ExportFile) -> tuple[str, bool, str]:
    """By listener, and podcasts first: their rows say that they are episodes, those of a mixed file do not."""
    return file.user_id, "podcast" not in file.name.casefold(), file.name


def _report_nothing(paths: Sequence[Path], left_out: Sequence[str]) -> DataError:
    zips = [name for name in left_out if name.casefold().endswith(".zip")]
    return DataError(
        f"{', '.join(map(str, paths))}: no listening history in it (endsong*.json, Streaming_History*.json, StreamingHistory*.json)",
        next_step=f"give the zip itself: {zips[0]}" if zips else "give the folder or the zip that Spotify sent, as it was downloaded",
    )
