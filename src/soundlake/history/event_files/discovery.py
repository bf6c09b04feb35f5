"""Find the event files in what was given: files, and folders of parts as Spark writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from soundlake.contract.unknown_fields import KNOWN_FIELDS
from soundlake.errors import DataError, UsageError
from soundlake.history.event_files.sources import EventFile, recognise_form
from soundlake.history.models import BrokenFile, LeftOut

_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class EventFiles:
    """The files to read, in order, and the files of folders that hold no events."""

    files: tuple[EventFile, ...]
    left_out: tuple[LeftOut, ...]


def find_event_files(paths: Sequence[Path]) -> EventFiles:
    """Find the files of each path: a file, or a folder with all its sub-folders. A file that two paths lead to is read once.

    In a folder, names that begin with `_` or `.` are not data (`_SUCCESS`, `.part-0.crc`), files without events are left out, and a
    sub-folder `user_id=anna` gives all its rows that field. Raises UsageError for a path that does not exist and for the folder of a
    Delta table, DataError for a folder without events.
    """
    files: dict[Path, EventFile] = {}
    left_out: list[LeftOut] = []
    for path in paths:
        given = path.expanduser()
        if given.is_dir():
            found, others = _search(given)
            if not found:
                named = f"only {', '.join(other.name for other in others[:10])}" if others else "no file"
                raise DataError(f"{given}: no file of events, {named}", next_step="give Parquet, NDJSON, a JSON array or CSV")
            left_out += others
        elif given.is_file():
            found = [EventFile(given.name, given)]
        else:
            raise UsageError(f"{given}: there is no such file or folder", next_step="give files or folders of events")
        for file in found:
            files.setdefault(file.path.resolve(), file)
    return EventFiles(tuple(files.values()), tuple(left_out))


def _search(folder: Path) -> tuple[list[EventFile], list[LeftOut]]:
    found: list[EventFile] = []
    left_out: list[LeftOut] = []
    for file in _list_files(folder):
        try:
            recognise_form(file)
        except BrokenFile as broken:
            if broken.byte is None:
                left_out.append(LeftOut(file.name, broken.problem))
                continue
        found.append(file)
    return found, left_out


def _list_files(folder: Path) -> Iterator[EventFile]:
    def refuse(error: OSError) -> None:
        raise UsageError(f"{error.filename}: cannot be listed: {error.strerror}", next_step="make it readable") from error

    root = folder.resolve()
    for parent, folders, names in os.walk(root, onerror=refuse):
        if "_delta_log" in folders:
            raise UsageError(
                f"{parent}: is a Delta table, whose files include rows that were deleted",
                next_step="write its rows to Parquet and import that",
            )
        folders[:] = sorted(name for name in folders if not name.startswith(("_", ".")))
        fields = _read_folder_fields(Path(parent).relative_to(root))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(("_", ".")) and path.is_file():
                yield EventFile(f"{root.name}/{path.relative_to(root).as_posix()}", path, fields)


def _read_folder_fields(inside: Path) -> dict[str, str | None]:
    """The fields that Hive's names of folders give (`user_id=anna`); other names, such as `year=2024`, are those of no field."""
    pairs = (part.partition("=") for part in inside.parts)
    return {name: None if text == _NULL_FOLDER else unquote(text) for name, equals, text in pairs if equals and name in KNOWN_FIELDS}
