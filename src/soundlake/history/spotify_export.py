"""Read Spotify's exports, of any form and generation, as plays.

A row of the extended form (2013 to today: endsong, endvideo, Streaming_History) has `ts`, one of the short form (account data: music,
podcasts, audiobooks) `endTime`, one of the short form of 2018 `time`. The form is decided for each row, not by the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa

from soundlake.contract import EVENT_SCHEMA
from soundlake.history.file_head import FileHead
from soundlake.history.models import SOURCE, FormRows, HistoryRows, RefusedRow
from soundlake.history.nested_rows import list_rows
from soundlake.history.personal_fields import strip_personal
from soundlake.history.play_columns import Row
from soundlake.history.row_files import RowFile
from soundlake.history.spotify_extended import is_extended, read_extended
from soundlake.history.spotify_short import ShortRows, is_short

_NAME = re.compile(r"(?<![a-z_])(?:endsong|endvideo|streaming_?history)[^/]*\.json(?:\.txt)?")
_OTHERS = {
    "identity": "the account's name and picture", "userdata": "the account's data", "playlist": "playlists",
    "yourlibrary": "the saved library", "searchqueries": "search queries", "follow": "followed people", "payments": "payments",
    "inferences": "what Spotify infers for advertising", "marquee": "artists for advertising", "duonewfamily": "the family plan",
    "familyplan": "the family plan", "wrapped": "a summary of a year", "yoursoundcapsule": "a summary of listening",
    "podcastinteractivity": "comments and ratings of podcasts", "messagedata": "messages", "userprompts": "prompts",
    "read_me_first": "Spotify's explanation", "readmefirst": "Spotify's explanation",
}  # fmt: skip


class SpotifyExport:
    """Reads the account data and the extended streaming history that Spotify sends."""

    source = SOURCE
    title = "Spotify export"

    def recognises(self, head: FileHead) -> bool:
        """A row of one of the forms; by its name a file that has no whole row, or rows of no known form."""
        if any(_is_history(row) for value in head.values for row in list_rows(value, _is_history)):
            return True
        if not head.values and (is_extended(head.members) or is_short(head.members)):
            return True
        return bool(_NAME.search(head.base_name))

    def describe(self, head: FileHead) -> str | None:
        """The lists of a download that are no history."""
        name = head.base_name.replace(" ", "")
        return next((f"{what} (Spotify), no history" for start, what in _OTHERS.items() if name.startswith(start)), None)

    def read(self, file: RowFile, *, user_id: str, now: datetime) -> Iterator[HistoryRows]:
        """The plays of one file.

        Rows of the extended form with an equal natural key have one event_id. Equal rows of the short form have one each, by their
        ordinal in the file: two real short plays can be equal, since the times have minutes only.
        """
        short_rows = ShortRows(user_id, now)
        for values in file.read_json():
            extended: list[Row] = []
            short: list[Row] = []
            refused: list[RefusedRow] = []
            for row in (row for value in values for row in list_rows(value, _is_history)):
                if isinstance(row, RefusedRow):
                    refused.append(row)
                elif not isinstance(row, dict):
                    refused.append(RefusedRow("unknown_shape", {"value": row}))
                elif "ts" in row:
                    extended.append(row)
                elif "endTime" in row or is_short(row.keys()):
                    short.append(row)
                else:
                    refused.append(RefusedRow("unknown_shape", strip_personal(row)))
            forms = [(read_extended(extended, user_id=user_id, now=now), extended), (short_rows.read(short), short)]
            yield HistoryRows(
                events=pa.concat_tables([EVENT_SCHEMA.empty_table(), *(form.events for form, _ in forms)]),
                refused=(*refused, *(row for form, rows in forms for row in _list_refused(form, rows))),
            )


def _is_history(row: object) -> bool:
    return isinstance(row, dict) and (is_extended(row.keys()) or is_short(row.keys()))


def _list_refused(form: FormRows, rows: list[Row]) -> list[RefusedRow]:
    pairs = zip(form.reasons, rows, strict=True)
    return [RefusedRow(reason, strip_personal(row)) for reason, row in pairs if reason is not None]
