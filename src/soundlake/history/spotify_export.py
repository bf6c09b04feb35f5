"""Read one file of a Spotify export, of any form and generation, as plays.

A row of the extended form (2013 to today: endsong*.json, Streaming_History_*.json) has `ts`, one of the short form
(StreamingHistory*.json, music and podcasts) has `endTime`. The form is decided for each row, not by the file's name.
"""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from soundlake.contract import EVENT_SCHEMA
from soundlake.history.json_rows import parse_rows
from soundlake.history.models import FormRows, HistoryRows, RefusedRow
from soundlake.history.personal_fields import strip_personal
from soundlake.history.play_columns import Row
from soundlake.history.spotify_extended import read_extended
from soundlake.history.spotify_short import read_short


def read_spotify_export(name: str, data: bytes, *, user_id: str, now: datetime) -> HistoryRows:
    """The rows of one file as plays of that listener; `name` is used in messages only. Raises BrokenFile.

    Rows of the extended form with an equal natural key have one event_id. Equal rows of the short form have one each, by their ordinal in
    the file: two real short plays can be equal, since the times have minutes only.
    """
    extended: list[Row] = []
    short: list[Row] = []
    refused: list[RefusedRow] = []
    for row in parse_rows(name, data):
        if not isinstance(row, dict):
            refused.append(RefusedRow("unknown_shape", {"value": row}))
        elif "ts" in row:
            extended.append(row)
        elif "endTime" in row:
            short.append(row)
        else:
            refused.append(RefusedRow("unknown_shape", strip_personal(row)))
    forms = [read_extended(extended, user_id=user_id, now=now), read_short(short, user_id=user_id, now=now)]
    return HistoryRows(
        events=pa.concat_tables([EVENT_SCHEMA.empty_table(), *(form.events for form in forms)]),
        refused=(*refused, *(row for form, rows in zip(forms, (extended, short), strict=True) for row in _list_refused(form, rows))),
    )


def _list_refused(form: FormRows, rows: list[Row]) -> list[RefusedRow]:
    pairs = zip(form.reasons, rows, strict=True)
    return [RefusedRow(reason, strip_personal(row)) for reason, row in pairs if reason is not None]
