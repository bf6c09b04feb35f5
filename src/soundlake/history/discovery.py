"""Find the files of listening history in what a person gives: whose each is, and which reader reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from soundlake.errors import DataError, UsageError
from soundlake.history.file_head import FileHead
from soundlake.history.models import BrokenFile, LeftOut
from soundlake.history.reader import HistoryReader
from soundlake.history.source_files import Found, SourceFile, list_file, list_folder

_DOWNLOAD_FOLDER = re.compile(
    r"(?:copy of |copie de |copia de |kopie von )?"
    r"(?:my_spotify_data|mydata|spotify account data|spotify extended streaming history|listens|\d{4})(?: ?\(\d+\)| - copy)?",
    re.IGNORECASE,
)
"""Names that services give to folders and zips of a download: they do not name a listener."""
_NAMES_SHOWN = 5


@dataclass(frozen=True)
class HistoryFile:
    """One file of history, its reader, and its listener."""

    file: SourceFile
    reader: HistoryReader
    user_id: str


@dataclass(frozen=True)
class HistoryFiles:
    """The files to read, those that are left out with the reasons, and those that cannot be opened. To be closed after reading."""

    files: tuple[HistoryFile, ...]
    left_out: tuple[LeftOut, ...] = ()
    broken: tuple[BrokenFile, ...] = ()
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def listeners(self) -> tuple[str, ...]:
        """The listeners, in the order of their files."""
        return tuple(dict.fromkeys(file.user_id for file in self.files))

    @property
    def size_bytes(self) -> int:
        """The size of the files to read."""
        return sum(found.file.size_bytes for found in self.files)

    @property
    def event_files(self) -> tuple[Path, ...]:
        """Files that were left out since they have events in the contract's own fields."""
        return tuple(one.event_file for one in self.left_out if one.event_file)

    def check_found(self, readers: Sequence[HistoryReader]) -> None:
        """Raises DataError if there is no file to read and none that is broken."""
        if not self.files and not self.broken:
            raise _make_nothing_error(self.left_out, readers)

    def close(self) -> None:
        """Close the zips."""
        self.stack.close()


def find_history(paths: Sequence[Path], user: str | None, readers: Sequence[HistoryReader]) -> HistoryFiles:
    """Find the files that one of the readers recognises: in folders with all their sub-folders, zips, zips in zips, or single files.

    All belong to `user`. Without it, a folder of history files is one listener with the folder's name, and in a folder of folders (or of
    zips) each of these is a listener; names that services give to a download do not count. A file that two paths lead to is read once.
    Raises UsageError if the listener is ambiguous or a path does not exist.
    """
    files: dict[tuple[object, ...], HistoryFile] = {}
    left_out: list[LeftOut] = []
    broken: list[BrokenFile] = []
    with ExitStack() as stack:
        for path in dict.fromkeys(path.expanduser().resolve() for path in paths):
            history: list[tuple[SourceFile, HistoryReader]] = []
            for found in _list(path, stack):
                chosen = _choose_reader(found, readers) if isinstance(found, SourceFile) else found
                if isinstance(chosen, BrokenFile):
                    broken.append(chosen)
                elif isinstance(chosen, LeftOut):
                    left_out.append(chosen)
                else:
                    history.append(chosen)
            files |= {one.file.key: one for one in _assign_listeners(path, history, user)}
        kept = stack.pop_all()
    left_out.sort(key=lambda one: one.name)
    return HistoryFiles(tuple(sorted(files.values(), key=_sort_key)), tuple(left_out), tuple(broken), kept)


def _list(path: Path, stack: ExitStack) -> Iterator[Found]:
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder", next_step="give the folder or the zip as it was downloaded")
    if not path.is_dir():
        yield from list_file(path, stack, name=path.name)
        return
    try:
        yield from list_folder(path, stack)
    except OSError as cause:
        raise UsageError(f"{cause.filename}: cannot be listed: {cause.strerror}", next_step="make it readable") from cause


def _choose_reader(file: SourceFile, readers: Sequence[HistoryReader]) -> tuple[SourceFile, HistoryReader] | LeftOut | BrokenFile:
    try:
        head = FileHead(file.name, file.read_head())
    except BrokenFile as broken:
        return broken
    reader = next((reader for reader in readers if reader.recognises(head)), None)
    if reader is not None:
        return file, reader
    if head.has_events:
        return LeftOut(file.name, "events: `soundlake import events` reads them, unpacked", file.path)
    known = next((what for reader in readers if (what := reader.describe(head))), None)
    return LeftOut(file.name, known or head.describe())


def _assign_listeners(path: Path, history: Sequence[tuple[SourceFile, HistoryReader]], user: str | None) -> list[HistoryFile]:
    if user is None and history and not path.is_dir():
        raise UsageError(f"{path.name}: a file or a zip does not name its listener", next_step="name the listener: --user NAME")
    owners = [next((name for name in file.folders if not _DOWNLOAD_FOLDER.fullmatch(name)), None) for file, _ in history]
    if user is None and None in owners and any(owners):
        raise UsageError(
            f"{path}: there are history files in it and in its sub-folders or zips, so the listener is ambiguous",
            next_step="give --user NAME if all files belong to one listener, or put each listener's files into a sub-folder",
        )
    parents = (part.name for part in (path, *path.parents))
    default = next((name for name in parents if not _DOWNLOAD_FOLDER.fullmatch(name)), path.name)
    return [HistoryFile(file, reader, user or owner or default) for (file, reader), owner in zip(history, owners, strict=True)]


def _sort_key(found: HistoryFile) -> tuple[str, bool, str]:
    """By listener, podcasts first: their rows say that they are episodes, which rows of a mixed file do not."""
    return found.user_id, "podcast" not in found.file.name.casefold(), found.file.name


def _make_nothing_error(left_out: Sequence[LeftOut], readers: Sequence[HistoryReader]) -> DataError:
    found = [f"{one.name} ({one.reason})" for one in left_out[:_NAMES_SHOWN]]
    more = [f"and {len(left_out) - _NAMES_SHOWN:,} more"] if len(left_out) > _NAMES_SHOWN else []
    titles = ", ".join(reader.title for reader in readers)
    return DataError(
        f"no listening history found ({titles}); found instead: {', '.join(found + more) or 'no file'}",
        next_step="give the folder or the zip as it was downloaded",
    )
