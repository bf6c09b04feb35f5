"""Spotify's account data: the short streaming history, without ids, and its form of 2018, without lengths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from soundlake.generator.output.views.source_faults import SourceFault
from soundlake.generator.output.views.view import ListenerFilesView
from soundlake.local_files import write_file

_ROWS_PER_FILE = 10_000


@dataclass(frozen=True)
class ShortForm:
    """The names of the files, the precision of the time, the fields (name: SQL), and whether lengths are given."""

    file: str
    precision: str
    fields: dict[str, str]
    has_length: bool


SHORT_FORMS = {
    "short-2018": ShortForm(
        "StreamingHistory.json", "second",
        {"time": "strftime(stamp, '%Y-%m-%d %H:%M:%S')", "artistName": "artist_name", "trackName": "track_name"}, has_length=False,
    ),
    "short": ShortForm(
        "StreamingHistory_music_{number}.json", "minute",
        {"endTime": "strftime(stamp, '%Y-%m-%d %H:%M')", "artistName": "artist_name", "trackName": "track_name", "msPlayed": "ms_played"},
        has_length=True,
    ),
}  # fmt: skip


class SpotifyShort(ListenerFilesView):
    """One short form: `<listener>/StreamingHistory_music_<number>.json` or `<listener>/StreamingHistory.json`.

    Its time is when the player was left, also where the extended form has a late `ts` (real exports: 110 of 744 rows).
    """

    faults = (
        SourceFault("unlisted", 0.005, "a play is missing", "real exports: 4 of 744 rows"),
        SourceFault("decomposed", 0.3, "a listener's names are in NFD", "cases/imports 18", "user_id"),
        SourceFault("renamed", 0.002, "the artist's former name", "real exports: none of 249 artists", "artist_id"),
        SourceFault("all_artists", 0.03, "2018 names every artist of the track", "cases/imports 07", "track_id"),
    )

    def __init__(self, name: str, form: ShortForm) -> None:
        super().__init__(name)
        self._form = form

    def select(self) -> str:
        """One row a play."""
        form = self._form
        fields = ", ".join(f"'{name}': {value}" for name, value in form.fields.items())
        artist = "case when renamed then 'Formerly ' || substr(artist_id, -5) when decomposed then artist_name_nfd else artist_name end"
        everyone = "" if form.has_length else " || case when all_artists then ', Ira Stone' else '' end"
        return f"""
            with shown as (
                select
                    play_id, user_id, cast(null as varchar) as event_id, 'spotify_export' as source,
                    date_trunc('{form.precision}', epoch_ms(closed_ms)) as stamp, {artist}{everyone} as artist_name,
                    case when decomposed then track_name_nfd else track_name end as track_name, cast(null as varchar) as track_id,
                    {"ms_played" if form.has_length else "cast(null as bigint) as ms_played"}, closed_ms as place
                from plays where not unlisted
            )
            select *, to_json({{{fields}}})::varchar as line from shown
        """  # noqa: S608  # constants of this file

    def write_listener(self, folder: Path, user_id: str, rows: pa.Table) -> None:
        """Write files of 10,000 rows, each one JSON array."""
        del user_id
        per_file = _ROWS_PER_FILE if self._form.has_length else max(len(rows), 1)
        for number, first in enumerate(range(0, len(rows), per_file)):
            text = ",\n".join(rows.slice(first, per_file)["line"].to_pylist())
            write_file(folder / self._form.file.format(number=number), f"[\n{text}\n]\n")
