"""Read what listening services hand out: files of history, as events of the contract and rows refused with a reason.

Pure readers: they take bytes, a listener and the time, and give columns; they publish and store nothing.

Of a Spotify export every row becomes a `play` with `source = 'spotify_export'`. The file gives the end of a play, so
`played_at` is that end less `ms_played` (`played_at_basis = 'derived_from_end'`; where that would lie before the year 2000, the length
is absurd and the end stands as it is, `reported`), and `source_ref` keeps form and end:

- `extended:2022-06-08T23:46:30Z`   the row's `ts` (a fraction of a second only where the row has one)
- `short:2021-08-03T22:14:00Z`      the row's `endTime`, known to the minute: the seconds are always 00

Silver matches the observations of one play by them.
"""

from soundlake.history.event_files import check_event_files, read_event_records
from soundlake.history.export_discovery import ExportFile, Exports, find_exports
from soundlake.history.json_rows import BrokenFile
from soundlake.history.models import SOURCE, HistoryRows, RefusedRow
from soundlake.history.spotify_export import read_spotify_export

__all__ = [
    "SOURCE", "BrokenFile", "ExportFile", "Exports", "HistoryRows", "RefusedRow", "check_event_files", "find_exports",
    "read_event_records", "read_spotify_export",
]  # fmt: skip
