"""Read files of listening history, one module for each reader: events of the contract, and refused rows with their reasons.

The readers are pure: they take bytes, a listener and the time, and return columns. They publish and store nothing.

Each row of a Spotify export becomes a `play` with `source = 'spotify_export'`. The file has the end of a play, so `played_at` is the end
minus `ms_played` (`played_at_basis = 'derived_from_end'`). If that is before the year 2000, the length is wrong and `played_at` is the end
(`reported`). `source_ref` keeps form and end, by which silver matches the observations of one play:

- `extended:2022-06-08T23:46:30Z`   the row's `ts` (with a fraction of a second only if the row has one)
- `short:2021-08-03T22:14:00Z`      the row's `endTime`, known to the minute: the seconds are always 00
"""

from soundlake.history.event_files import check_event_files, read_event_records
from soundlake.history.export_discovery import ExportFile, Exports, find_exports
from soundlake.history.models import SOURCE, BrokenFile, HistoryRows, RefusedRow
from soundlake.history.spotify_export import read_spotify_export

__all__ = [
    "SOURCE", "BrokenFile", "ExportFile", "Exports", "HistoryRows", "RefusedRow", "check_event_files", "find_exports",
    "read_event_records", "read_spotify_export",
]  # fmt: skip
