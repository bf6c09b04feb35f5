"""Read files of listening history, one module for each source: events of the contract, and refused rows with their reasons.

The readers are pure: they take a file, a listener and the time, and return columns. They publish and store nothing.

Each row becomes a `play`. A Spotify export has the end of a play, so `played_at` is the end minus `ms_played`
(`played_at_basis = 'derived_from_end'`) unless the row's own start can be trusted. If that is before the year 2000, the length is wrong
and `played_at` is the end (`reported`). Scrobblers give one time (`reported`). `source_ref` keeps the form and the time that the row has,
by which silver matches the observations of one play:

- `extended:2022-06-08T23:46:30Z`       the row's `ts` (with a fraction of a second only if the row has one)
- `short:2021-08-03T22:14:00Z`          the row's `endTime`, to the minute, or `time` of 2018, to the second
- `listenbrainz:2023-11-14T22:13:20Z`   `listened_at`
- `lastfm:2010-04-05T11:59:00Z`         `uts`, to the second
- `lastfm_minute:2016-02-23T17:59:00Z`  a text date, to the minute
"""

from soundlake.history.discovery import HistoryFile, HistoryFiles, find_history
from soundlake.history.event_files import (
    EVENTS_SOURCE,
    MAX_EVENT_BYTES,
    EventFile,
    EventFiles,
    Notes,
    describe_notes,
    find_event_files,
    normalize_records,
    read_event_records,
)
from soundlake.history.models import SOURCE, BrokenFile, HistoryRows, LeftOut, RefusedRow
from soundlake.history.reader import HistoryReader
from soundlake.history.readers import READERS
from soundlake.history.row_files import RowFile
from soundlake.history.spotify_export import SpotifyExport

__all__ = [
    "EVENTS_SOURCE", "MAX_EVENT_BYTES", "READERS", "SOURCE", "BrokenFile", "EventFile", "EventFiles", "HistoryFile", "HistoryFiles",
    "HistoryReader", "HistoryRows", "LeftOut", "Notes", "RefusedRow", "RowFile", "SpotifyExport", "describe_notes", "find_event_files",
    "find_history", "normalize_records", "read_event_records",
]  # fmt: skip
