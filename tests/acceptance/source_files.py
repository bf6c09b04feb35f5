"""The files of other sources that a case describes, written in their real forms and read by the importer's readers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.acceptance.player_answers import find_artist, find_isrc, find_name, find_start

from soundlake.history import READERS, RowFile, find_history

Case = Mapping[str, Any]
_ALBUM = "Album"


def read_files(case: Case, user_id: str, folder: Path, now: datetime) -> Iterator[pa.Table]:
    """The events of each file of the case, of the listener `user_id`; the files are written to `folder`."""
    for member, write in WRITERS.items():
        if member in case["given"]:
            place = folder / member
            place.mkdir(parents=True)
            write(case, case["given"][member], place)
            yield from _read(place, user_id, now)


def _read(folder: Path, user_id: str, now: datetime) -> Iterator[pa.Table]:
    with closing(find_history([folder], None, READERS)) as found:
        for file in found.files:
            for part in file.reader.read(RowFile(file.file, lambda _: None), user_id=user_id, now=now):
                yield part.events


def _write_extended(case: Case, rows: Iterable[Case], folder: Path) -> None:
    described = [
        {
            "ts": f"{_find_time(case, row['ts']):%Y-%m-%dT%H:%M:%SZ}", "ms_played": row["ms_played"],
            "master_metadata_track_name": find_name(case, row["track"]),
            "master_metadata_album_artist_name": find_artist(case, row["track"]), "master_metadata_album_album_name": _ALBUM,
            "spotify_track_uri": f"spotify:track:{row['track']:0>22}",
            "reason_start": row.get("reason_start", "trackdone"), "reason_end": row.get("reason_end"),
            **{name: value for name, value in row.items() if name not in ("ts", "track", "ms_played", "reason_start", "reason_end")},
        }
        for row in rows
    ]  # fmt: skip
    (folder / "Streaming_History_Audio_2026_0.json").write_text(json.dumps(described))


def _write_short(case: Case, rows: Iterable[Case], folder: Path) -> None:
    described = [
        {"endTime": f"{_find_time(case, row.get('endTime', row.get('ts'))):%Y-%m-%d %H:%M}", "artistName": find_artist(case, row["track"]),
         "trackName": find_name(case, row["track"]), "msPlayed": row.get("msPlayed", row.get("ms_played"))}
        for row in rows
    ]  # fmt: skip
    (folder / "StreamingHistory_music_0.json").write_text(json.dumps(described))


def _write_lastfm(case: Case, rows: Iterable[Any], folder: Path) -> None:
    """The CSV with `uts`."""
    lines = ["uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid"]
    for letter, at_s in map(_read_pair, rows):
        at = _find_time(case, at_s)
        lines.append(
            f'"{int(at.timestamp())}","{at:%d %b %Y, %H:%M}","{find_artist(case, letter)}","","{_ALBUM}","","{find_name(case, letter)}",""'
        )
    (folder / "lastfm.csv").write_text("\n".join(lines) + "\n")


def _write_lastfm_minutes(case: Case, rows: Iterable[Any], folder: Path) -> None:
    """The CSV of four columns, by the minute."""
    lines = [
        f"{find_artist(case, letter)},{_ALBUM},{find_name(case, letter)},{_find_time(case, at_s):%d %b %Y %H:%M}"
        for letter, at_s in map(_read_pair, rows)
    ]
    (folder / "lastfm.csv").write_text("\n".join(lines) + "\n")


def _write_listens(case: Case, rows: Iterable[Any], folder: Path) -> None:
    """A file of the archive of ListenBrainz: the form that its endpoint takes too."""
    listens = []
    for row in rows:
        letter, at_s = _read_pair(row, "listened_at")
        names = {"artist_name": find_artist(case, letter), "track_name": find_name(case, letter), "release_name": _ALBUM}
        info = {"isrc": find_isrc(case, letter)} if find_isrc(case, letter) else {}
        listens.append({"listened_at": int(_find_time(case, at_s).timestamp()), "track_metadata": {**names, "additional_info": info}})
    (folder / "listens.jsonl").write_text("".join(f"{json.dumps(listen)}\n" for listen in listens))


def _read_pair(row: Any, time: str = "at") -> tuple[str, float]:
    """A letter and a time: as a list, or by name."""
    return (row["track"], row.get(time, row.get("uts", 0))) if isinstance(row, Mapping) else (row[0], row[1])


def _find_time(case: Case, at_s: float) -> datetime:
    return find_start(case) + timedelta(seconds=at_s)


WRITERS: dict[str, Callable[[Case, Any, Path], None]] = {
    "extended_export": _write_extended,
    "export_later": _write_extended,
    "short_export": _write_short,
    "account_export": _write_short,
    "lastfm": _write_lastfm,
    "lastfm_seconds": _write_lastfm,
    "lastfm_minute": _write_lastfm_minutes,
    "listenbrainz": _write_listens,
}
"""How each member of `given` is written."""
