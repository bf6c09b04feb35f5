"""Spotify's extended streaming history, by the year in which a download looked like that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from soundlake.generator.output.views.source_faults import SourceFault
from soundlake.generator.output.views.view import ListenerFilesView
from soundlake.local_files import write_file

_ROWS_PER_FILE = 16_000  # Spotify splits its files at about 12 MB
_URI = "'spotify:track:' || shown_track_id"
_NAMES = {
    "master_metadata_track_name": "shown_track",
    "master_metadata_album_artist_name": "shown_artist",
    "master_metadata_album_album_name": "case when shown_track is not null then album_name end",
}
_FLAGS = {"shuffle": "is_shuffle", "skipped": "is_skipped", "offline": "is_offline"}
_PLAY = {"ts": "ts", "username": "user_id", "platform": "platform", "ms_played": "ms_played", "conn_country": "country"}
_PERSONAL = {"ip_addr_decrypted": "null", "user_agent_decrypted": "'unknown'"}
_PLACE = dict.fromkeys(("city", "region", "metro_code", "longitude", "latitude"), "null")
_EPISODE = {"episode_name": "null", "episode_show_name": "null"}
_URIS = {"spotify_track_uri": _URI, **_EPISODE, "spotify_episode_uri": "null"}
_REASONS = {"reason_start": "reason_start", "reason_end": "reason_end"}
_OFFLINE_MS = {
    "offline_timestamp": "case when without_offline_time and not is_offline then 0 else started_ms end",
    "incognito_mode": "is_private",
}
_OLD_FLAGS = _FLAGS | {"skipped": "case when is_skipped and skip_known then true end"}
_WITHOUT_URIS = _PLAY | _PERSONAL | _PLACE | _NAMES | _EPISODE | _REASONS | _OLD_FLAGS | _OFFLINE_MS
_AUDIOBOOK = dict.fromkeys(("audiobook_title", "audiobook_uri", "audiobook_chapter_uri", "audiobook_chapter_title"), "null")
_ISO, _OLD = "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S UTC"


@dataclass(frozen=True)
class Generation:
    """The form of a generation: names of the files, the form of `ts`, the fields (name: SQL), and which faults it has."""

    file: str
    time: str
    fields: dict[str, str]
    shown_track_id: str = "track_id"
    shown_artist: str = "artist_name"
    is_nameless: bool = False
    is_sorted: bool = True
    has_twins: bool = False


_OLD_ID = "case when relinked then track_id || 'x' else track_id end"
_OLD_ARTIST = "case when renamed then 'Formerly ' || substr(artist_id, -5) else artist_name end"
GENERATIONS = {
    "2018": Generation("endsong_{number}.json", _OLD, _WITHOUT_URIS, "null", _OLD_ARTIST, is_sorted=False),
    "2020": Generation("endsong_{number}.json", _ISO, _WITHOUT_URIS, "null", _OLD_ARTIST, is_sorted=False),
    "2022": Generation(
        "endsong_{number}.json", _ISO, _PLAY | _PERSONAL | _NAMES | _URIS | _REASONS | _OLD_FLAGS | _OFFLINE_MS, _OLD_ID,
        is_sorted=False, has_twins=True,
    ),
    "2024": Generation(
        "Streaming_History_Audio_{years}_{number}.json", _ISO,
        {"ts": "ts", "platform": "platform", "ms_played": "ms_played", "conn_country": "country", "ip_addr": "null"}
        | _NAMES | _URIS | _AUDIOBOOK | _REASONS | _FLAGS | {"offline_timestamp": "started_ms // 1000", "incognito_mode": "is_private"},
        is_nameless=True,
    ),
}  # fmt: skip


class SpotifyExtended(ListenerFilesView):
    """One generation of the extended form, in files of Generation.file in a folder for each listener."""

    faults = (
        SourceFault("renamed", 0.002, "2018 and 2020 have the artist's former name", "real exports: none of 249 artists", "artist_id"),
        SourceFault("relinked", 0.02, "2022 has another id of the same track", "spotify/web-api#1232", "track_id"),
        SourceFault("nameless", 0.003, "2024 has a uri without names: the track was removed", "real exports: 3 of 5,715 rows", "track_id"),
        SourceFault("twin", 0.0005, "2022 has the row twice", "real exports: 3 of 5,715 rows"),
        SourceFault(
            "without_offline_time",
            0.11,
            "until 2022 some players online note no offline_timestamp: 0",
            "real exports: 631 of 5,715 rows, none of 175 offline ones, none of most platforms",
            "session_id",
        ),
        SourceFault("skip_known", 0.1, "until 2022 skipped is mostly null", "real exports: 5,169 of 5,715 rows"),
        SourceFault("unsorted", 1.0, "until 2022 the rows are not sorted", "real exports"),
    )

    def __init__(self, name: str, generation: Generation) -> None:
        super().__init__(name)
        self._generation = generation

    def select(self) -> str:
        """One row a play, two of a twin."""
        form = self._generation
        fields = ", ".join(f"'{name}': {value}" for name, value in form.fields.items())
        is_shown = "not nameless" if form.is_nameless else "true"
        twins = " union all by name select * from shown where twin" if form.has_twins else ""
        return f"""
            with shown as (
                select
                    *, strftime(epoch_ms(stored_ms), '{form.time}') as ts, {form.shown_track_id} as shown_track_id,
                    case when {is_shown} then track_name end as shown_track,
                    case when {is_shown} then {form.shown_artist} end as shown_artist
                from plays
            ),
            listed as (select * from shown{twins})
            select
                play_id, user_id, cast(null as varchar) as event_id, 'spotify_export' as source,
                date_trunc('second', epoch_ms(stored_ms)) as stamp, shown_artist as artist_name, shown_track as track_name,
                shown_track_id as track_id, ms_played, to_json({{{fields}}})::varchar as line,
                {"stored_ms" if form.is_sorted else "unsorted_draw"} as place, strftime(epoch_ms(stored_ms), '%Y') as year
            from listed
        """  # noqa: S608  # constants of this file

    def write_listener(self, folder: Path, user_id: str, rows: pa.Table) -> None:
        """Write files of 16,000 rows, each one JSON array."""
        del user_id
        for number, first in enumerate(range(0, len(rows), _ROWS_PER_FILE)):
            part = rows.slice(first, _ROWS_PER_FILE)
            years = "-".join(dict.fromkeys((part["year"][0].as_py(), part["year"][-1].as_py())))
            text = ",\n".join(part["line"].to_pylist())
            write_file(folder / self._generation.file.format(years=years, number=number), f"[\n{text}\n]\n")
