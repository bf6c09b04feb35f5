"""Plays as the files of a Spotify export, extended form: a folder a listener, the shapes of 2023 and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow as pa

from soundlake.contract import EVENT_SCHEMA
from soundlake.errors import UsageError
from soundlake.generator.output.event_files import claim_empty_folder

_ROWS_PER_FILE = 16_000  # Spotify cuts its files at about 12 MB

_FIELDS = (
    "ts", "platform", "ms_played", "conn_country", "ip_addr", "master_metadata_track_name", "master_metadata_album_artist_name",
    "master_metadata_album_album_name", "spotify_track_uri", "episode_name", "episode_show_name", "spotify_episode_uri",
    "audiobook_title", "audiobook_uri", "audiobook_chapter_uri", "audiobook_chapter_title", "reason_start", "reason_end", "shuffle",
    "skipped", "offline", "offline_timestamp", "incognito_mode",
)  # fmt: skip


class ExportFolders:
    """Writes each listener's plays below a folder: `<listener>/Streaming_History_Audio_<years>_<number>.json`.

    Raises UsageError at once where the folder cannot be written to, or already holds listeners.
    """

    chunk_writer = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        claim_empty_folder(folder)
        self._plays: list[pl.DataFrame] = []

    def write(self, events: pa.Table) -> None:
        """Add the plays among the events."""
        plays = pl.DataFrame(events.cast(EVENT_SCHEMA)).filter(pl.col("event_type") == "play")
        self._plays.append(plays.select(pl.col("user_id"), *_describe_play()))

    def write_malformed(self, records: Sequence[bytes]) -> None:
        """Raises UsageError: an export holds plays alone."""
        raise UsageError(f"{len(records)} records that are no events have no place in an export", next_step="leave out --malformed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and self._plays:
            self._write_folders()

    def _write_folders(self) -> None:
        """All files; a listener's rows are sorted by their end, as Spotify sorts them."""
        for (user,), rows in pl.concat(self._plays).sort("ts", maintain_order=True).group_by("user_id", maintain_order=True):
            folder = self._folder / str(user)
            folder.mkdir()
            for number, first in enumerate(range(0, rows.height, _ROWS_PER_FILE)):
                part = rows.slice(first, _ROWS_PER_FILE).drop("user_id")
                years = "-".join(dict.fromkeys((part["ts"][0][:4], part["ts"][-1][:4])))
                _write_array(part, folder / f"Streaming_History_Audio_{years}_{number}.json")


def _describe_play() -> list[pl.Expr]:
    """Spotify's columns. `ts` is the end, to the second; made-up ids stand where Spotify's would."""
    end = pl.col("played_at") + pl.duration(milliseconds="ms_played")
    known = {
        "ts": end.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "platform": pl.col("platform"),
        "ms_played": pl.col("ms_played"),
        "conn_country": pl.col("country"),
        "master_metadata_track_name": pl.col("track_name"),
        "master_metadata_album_artist_name": pl.col("artist_name"),
        "master_metadata_album_album_name": pl.col("album_name"),
        "spotify_track_uri": pl.lit("spotify:track:") + pl.col("track_id"),
        "reason_start": pl.col("reason_start"),
        "reason_end": pl.col("reason_end"),
        "shuffle": pl.col("is_shuffle"),
        "skipped": pl.col("is_skipped"),
        "offline": pl.col("is_offline"),
        "offline_timestamp": pl.when(pl.col("is_offline")).then(pl.col("played_at").dt.epoch("s")),
        "incognito_mode": pl.col("is_private"),
    }
    return [known.get(name, pl.lit(None, pl.String)).alias(name) for name in _FIELDS]


def _write_array(rows: pl.DataFrame, path: Path) -> None:
    """One JSON array, an object a line; moved to its place when it is whole."""
    lines = rows.write_ndjson().rstrip("\n").replace("\n", ",\n")
    part = path.with_name(f".{path.name}.part")
    part.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    part.replace(path)
