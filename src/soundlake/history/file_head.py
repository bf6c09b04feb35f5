"""The first bytes of a file, as a reader looks at them to recognise its own."""

from __future__ import annotations

import codecs
import csv
import json
import re
from dataclasses import dataclass
from functools import cached_property

import orjson

from soundlake.history.csv_rows import find_delimiter
from soundlake.history.json_values import AROUND_VALUES, split_json
from soundlake.history.models import BrokenFile

_VALUES_READ = 50
_LINES_READ = 50
_NAMES_SHOWN = 6
_MEMBER = re.compile(rb'"((?:[^"\\]|\\.){1,60})"\s*:')
_COPY = re.compile(r"^(?:copy of |kopie von |copie de |copia de )+|(?: ?\(\d+\)| - copy| - kopie)+(?=\.|$)", re.IGNORECASE)
_MAGIC = {
    b"%PDF": "a PDF document", b"\x89PNG": "an image", b"\xff\xd8\xff": "an image", b"PAR1": "a Parquet file", b"SQLite": "a database",
    b"<": "HTML or XML", b"Rar!": "an archive that is not a zip", b"7z\xbc\xaf": "an archive that is not a zip",
}  # fmt: skip


@dataclass(frozen=True)
class FileHead:
    """The name and the first bytes (UTF-8) of a file."""

    name: str
    data: bytes

    @cached_property
    def base_name(self) -> str:
        """The last part of the name, lower case, without what systems add to the name of a second copy."""
        return _COPY.sub("", self.name.rpartition("/")[2].strip("\ufeff ")).casefold()

    @cached_property
    def text(self) -> bytes:
        """The bytes without a byte order mark and white space; empty if it is no text."""
        return b"" if b"\0" in self.data else self.data.removeprefix(codecs.BOM_UTF8).strip()

    @cached_property
    def values(self) -> tuple[object, ...]:
        """The first JSON values that are whole: elements of an array, lines, or a single object."""
        if not self.text.startswith((b"{", b"[")):
            return ()
        found: list[object] = []
        try:
            for values in split_json(self.name, [self.text], max_value_bytes=len(self.text)):
                found += [parsed for value in values[:_VALUES_READ] if isinstance(value, bytes) and (parsed := _parse(value)) is not None]
        except BrokenFile:  # the head ends in the middle
            pass
        return tuple(found)

    @cached_property
    def members(self) -> frozenset[str]:
        """The names of all members of JSON objects, also of objects that are not whole."""
        if not self.text.startswith((b"{", b"[")):
            return frozenset()
        return frozenset(name.decode(errors="replace") for name in _MEMBER.findall(self.text))

    @cached_property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """The first lines as CSV, without empty ones; the delimiter is the character that the first line has most of."""
        if not self.text or self.text.startswith((b"{", b"[", b"<")):
            return ()
        lines = self.text.decode(errors="replace").splitlines()[:_LINES_READ]
        try:
            return tuple(tuple(row) for row in csv.reader(lines, delimiter=find_delimiter(lines[0]), skipinitialspace=True) if row)
        except csv.Error:
            return ()

    @property
    def has_events(self) -> bool:
        """Whether its rows are events in the contract's own fields."""
        if self.data.startswith(b"PAR1"):
            return True
        names = self.members or frozenset(self.cells[0] if self.cells else ())
        return "event_id" in names and not names.isdisjoint(("event_type", "played_at"))

    def describe(self) -> str:
        """What the file seems to be, for the report of a file that is not read."""
        if not self.data.strip():
            return "empty"
        magic = next((what for start, what in _MAGIC.items() if self.data.startswith(start)), None)
        if magic:
            return magic
        if self.members:
            names = sorted({name for value in self.values if isinstance(value, dict) for name in value} or self.members)
            return f"JSON with {', '.join(names[:_NAMES_SHOWN])}{', …' if len(names) > _NAMES_SHOWN else ''}"
        if self.text.startswith(b"["):
            return "JSON without an object"
        if len(self.cells) > 1 and len(self.cells[0]) == len(self.cells[1]) > 1:
            names = [*self.cells[0]]
            return f"CSV with {', '.join(names[:_NAMES_SHOWN])}{', …' if len(names) > _NAMES_SHOWN else ''}"
        return "text" if self.text else "no text"


def _parse(value: bytes) -> object:
    try:
        return orjson.loads(value.strip(AROUND_VALUES))
    except orjson.JSONDecodeError:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
