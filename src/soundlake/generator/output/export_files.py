"""Plays as the files of a Spotify export (extended streaming history): one folder per listener, in the format used since 2023."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract import EVENT_SCHEMA
from soundlake.errors import UsageError
from soundlake.generator.output.event_files import claim_empty_folder
from soundlake.local_files import write_file

_ROWS_PER_FILE = 16_000  # Spotify splits its files at about 12 MB
_COLUMNS = (
    "user_id", "played_at", "ms_played", "platform", "country", "track_name", "artist_name", "album_name", "track_id", "reason_start",
    "reason_end", "is_shuffle", "is_skipped", "is_offline", "is_private",
)  # fmt: skip
_SELECT_LINES = """
select
    user_id,
    strftime(played_at + to_milliseconds(ms_played), '%Y-%m-%dT%H:%M:%SZ') as ts,
    to_json({
        'ts': ts,
        'platform': platform,
        'ms_played': ms_played,
        'conn_country': country,
        'ip_addr': null,
        'master_metadata_track_name': track_name,
        'master_metadata_album_artist_name': artist_name,
        'master_metadata_album_album_name': album_name,
        'spotify_track_uri': 'spotify:track:' || track_id,
        'episode_name': null,
        'episode_show_name': null,
        'spotify_episode_uri': null,
        'audiobook_title': null,
        'audiobook_uri': null,
        'audiobook_chapter_uri': null,
        'audiobook_chapter_title': null,
        'reason_start': reason_start,
        'reason_end': reason_end,
        'shuffle': is_shuffle,
        'skipped': is_skipped,
        'offline': is_offline,
        'offline_timestamp': case when is_offline then epoch_ms(played_at) // 1000 end,
        'incognito_mode': is_private
    })::varchar as line
from plays
order by user_id, ts, row
"""
"""Spotify's fields. `ts` is the end of the play, in whole seconds; generated ids replace Spotify's; `row` keeps the order of equal `ts`."""


class ExportFolders:
    """Writes each listener's plays below a folder: `<listener>/Streaming_History_Audio_<years>_<number>.json`.

    Raises UsageError if the folder cannot be written to or is not empty.
    """

    chunk_writer = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        claim_empty_folder(folder)
        self._plays: list[pa.Table] = []

    def write(self, events: pa.Table) -> None:
        """Add the plays among the events; a play without a listener belongs to no export."""
        plays = events.filter(pc.and_(pc.equal(events["event_type"], "play"), pc.is_valid(events["user_id"])))
        self._plays.append(plays.cast(EVENT_SCHEMA).select(_COLUMNS))

    def write_malformed(self, records: Sequence[bytes]) -> None:
        """Raises UsageError: an export has plays only."""
        raise UsageError(f"{len(records)} malformed records cannot be written to an export", next_step="leave out --malformed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and self._plays:
            self._write_folders()

    def _write_folders(self) -> None:
        """Write all files; the rows of a listener are sorted by `ts`, as in Spotify's exports."""
        lines = _format_lines(pa.concat_tables(self._plays))
        for user in lines["user_id"].unique().to_pylist():
            rows = lines.filter(pc.equal(lines["user_id"], user))
            folder = self._folder / str(user)
            folder.mkdir()
            for number, first in enumerate(range(0, len(rows), _ROWS_PER_FILE)):
                part = rows.slice(first, _ROWS_PER_FILE)
                years = "-".join(dict.fromkeys((part["ts"][0].as_py()[:4], part["ts"][-1].as_py()[:4])))
                text = ",\n".join(part["line"].to_pylist())
                write_file(folder / f"Streaming_History_Audio_{years}_{number}.json", f"[\n{text}\n]\n")


def _format_lines(plays: pa.Table) -> pa.Table:
    """Columns `user_id`, `ts` and `line` (a JSON object), sorted by user and time."""
    timestamps = plays["played_at"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).cast(pa.timestamp("us"))  # DuckDB needs ICU for zones
    plays = plays.set_column(plays.schema.get_field_index("played_at"), "played_at", timestamps)
    plays = plays.append_column("row", pa.array(range(len(plays)), pa.int64()))
    with duckdb.connect() as connection:
        connection.register("plays", plays)
        return connection.sql(_SELECT_LINES).to_arrow_table()
