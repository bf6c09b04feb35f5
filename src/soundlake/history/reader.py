"""What a reader of listening history is.

A new source is one file with a class like these, its line in READERS (`readers.py`), its name in the contract's sources, and its tests.
Everything else is here already: folders, zips and their limits, whose files they are, progress, refused rows, the report.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from soundlake.history.file_head import FileHead
from soundlake.history.models import HistoryRows
from soundlake.history.row_files import RowFile


class HistoryReader(Protocol):
    """Reads the files of one source."""

    source: str
    """The `source` of its events."""

    title: str
    """Its name for people: "a Spotify export"."""

    def recognises(self, head: FileHead) -> bool:
        """Whether the file has history of this source, by its content. A name decides only for a file without a whole row."""

    def describe(self, head: FileHead) -> str | None:
        """What a file of this source without history is ("search queries"); None if it is not of this source."""

    def read(self, file: RowFile, *, user_id: str, now: datetime) -> Iterator[HistoryRows]:
        """The rows of one file as plays of that listener, in parts; each row is in one part, as an event or refused with a reason.

        Raises BrokenFile if the file cannot be read to its end; the parts before that count.
        """
