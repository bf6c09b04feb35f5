"""Reads a real catalogue from a Parquet or CSV file: columns under any of their usual names, every row checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from soundlake.errors import DataError, UsageError
from soundlake.generator.model.catalogue_builder import TRACK_SCHEMA
from soundlake.generator.model.randomness import hash_text

SYNONYMS: dict[str, tuple[str, ...]] = {
    "track_id": ("track_id", "id", "track_uri", "uri", "spotify_track_uri"),
    "track_name": ("track_name", "name", "title", "track", "master_metadata_track_name"),
    "artist_id": ("artist_id", "principal_artist_id", "artist_uri"),
    "artist_name": ("artist_name", "track_artist", "principal_artist_name", "artist", "artists", "artists_names", "artist_names"),
    "album_id": ("album_id", "track_album_id", "album_uri"),
    "album_name": ("album_name", "track_album_name", "album"),
    "duration_ms": ("duration_ms", "track_duration_ms", "duration", "length_ms"),
    "popularity": ("popularity", "track_popularity", "play_count", "plays", "streams"),
    "genre": ("playlist_genre", "genre", "track_genre", "artist_genres", "genres"),
    "subgenre": ("playlist_subgenre", "subgenre"),
    "release_day": ("release_date", "album_release_date", "track_album_release_date", "year"),
}
"""Accepted names of each column, in order of preference, case-insensitive."""

REQUIRED = ("track_id", "track_name", "artist_name", "duration_ms")
_SHORTEST_MS, _LONGEST_MS = 1_000, 24 * 3_600_000
_OPTIONAL_PATTERNS = (
    ("popularity", r"\d+(\.\d*)?([eE][+-]?\d+)?", "no number from 0 on"),
    ("release_day", r"\d{4}(\D.*|\.0)?", "no date"),
)
"""Optional columns: the pattern of a non-empty text, and the description of a text that does not match."""
_FALLBACK_GENRES = 40
_SCORE_TOP = 100


def read_track_file(path: Path) -> pa.Table:
    """The tracks of a file (TRACK_SCHEMA), the first row of each id; rows with neither a name nor an artist are left out.

    Raises UsageError if the file cannot be read as Parquet or CSV, and DataError with the column (and row) that is missing or invalid.
    """
    table = _read_table(path)
    columns = {wanted: _find_column(table, names) for wanted, names in SYNONYMS.items()}
    missing = [wanted for wanted in REQUIRED if columns[wanted] is None]
    if missing:
        raise DataError(
            f"{path}: no column for {', '.join(missing)} (looked for {', '.join(SYNONYMS[missing[0]])})",
            next_step=f"name the columns so; found: {', '.join(table.column_names[:20])}",
        )
    row = pa.array(np.arange(2, len(table) + 2))
    tracks = pa.table({wanted: table[column] for wanted, column in columns.items() if column is not None} | {"row": row})
    tracks = tracks.filter(pc.invert(pc.and_(pc.is_null(tracks["track_name"]), pc.is_null(tracks["artist_name"]))))
    _check_rows(_Source(path, tracks, columns))
    tracks = tracks.take(pa.array(np.sort(np.unique(tracks["track_id"].cast(pa.string()).to_numpy(), return_index=True)[1])))
    return _fill_columns(tracks)


def _read_table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path) if path.suffix.lower() in (".parquet", ".pq") else pyarrow.csv.read_csv(path)
    except (OSError, pa.ArrowInvalid) as cause:
        raise UsageError(
            f"--catalog {path}: {cause}", next_step="give a Parquet file (.parquet) or a CSV file with a header line"
        ) from cause


def _find_column(table: pa.Table, names: tuple[str, ...]) -> str | None:
    by_lower = {column.lower(): column for column in table.column_names}
    return next((by_lower[name] for name in names if name in by_lower), None)


@dataclass(frozen=True)
class _Source:
    """A file, its rows under standard column names, and the column names in the file."""

    path: Path
    tracks: pa.Table
    columns: dict[str, str | None]


def _check_rows(source: _Source) -> None:
    """Raise DataError for the first row that is not a valid track."""
    path, tracks = source.path, source.tracks
    if not len(tracks):
        raise DataError(f"{path}: no tracks in it", next_step="give a file with at least one row")
    for column in ("track_id", "track_name", "artist_name"):
        text = pc.fill_null(pc.utf8_trim_whitespace(tracks[column].cast(pa.string())), "")
        _reject_rows(source, column, pc.equal(text, ""), "empty")
    duration = tracks["duration_ms"]
    if not pa.types.is_integer(duration.type) and not pa.types.is_floating(duration.type):
        readable = pc.match_substring_regex(pc.fill_null(duration.cast(pa.string()), ""), r"^\s*\d+(\.\d+)?\s*$")
        _reject_rows(source, "duration_ms", pc.invert(readable), "not a number")
    number = pc.fill_null(_to_number(duration), -1.0)
    wrong = pc.or_(pc.less(number, _SHORTEST_MS), pc.greater(number, _LONGEST_MS))
    _reject_rows(source, "duration_ms", wrong, f"not from {_SHORTEST_MS} to {_LONGEST_MS} milliseconds")
    for column, pattern, what in _OPTIONAL_PATTERNS:
        if column in tracks.column_names:
            text = pc.utf8_trim_whitespace(pc.fill_null(tracks[column].cast(pa.string()), ""))
            _reject_rows(source, column, pc.invert(pc.match_substring_regex(text, f"^({pattern})?$")), what)
    if "release_day" in tracks.column_names:
        days = pa.array([_count_days(_expand_date(text)) is None for text in _read_dates(tracks).to_pylist()], pa.bool_())
        _reject_rows(source, "release_day", pa.chunked_array([days]), "no date")


def _reject_rows(source: _Source, column: str, wrong: pa.ChunkedArray, what: str) -> None:
    at = np.flatnonzero(wrong.to_numpy(zero_copy_only=False))
    if len(at):
        value, row = source.tracks[column][int(at[0])].as_py(), source.tracks["row"][int(at[0])].as_py()
        raise DataError(
            f"{source.path}: column {source.columns[column]}, row {row}: {value!r} is {what} ({len(at)} rows like it)",
            next_step="fix or remove these rows (the header is row 1)",
        )


def _fill_columns(tracks: pa.Table) -> pa.Table:
    """Every column of TRACK_SCHEMA, with defaults for columns that the file lacks."""
    artist_name = tracks["artist_name"].cast(pa.string())
    artist = _get_texts(tracks, "artist_id", [f"artist of {name}" for name in artist_name.to_pylist()])
    album_name = _get_texts(tracks, "album_name", tracks["track_name"].cast(pa.string()).to_pylist())
    fallback = [f"group {int(hash_text(name)) % _FALLBACK_GENRES}" for name in artist.to_pylist()]
    genre = pc.list_element(pc.split_pattern_regex(_get_texts(tracks, "genre", fallback), "[;,]"), 0)
    genre = pc.if_else(pc.equal(genre, ""), pa.array(fallback), genre)
    columns = {
        "track_id": tracks["track_id"].cast(pa.string()),
        "track_name": tracks["track_name"].cast(pa.string()),
        "artist_id": artist,
        "artist_name": artist_name,
        "album_id": _get_texts(tracks, "album_id", pc.binary_join_element_wise(artist, album_name, " ").to_pylist()),
        "album_name": album_name,
        "duration_ms": pc.round(_to_number(tracks["duration_ms"])).cast(pa.int64()),
        "popularity": _compute_popularity(tracks),
        "genre": genre,
        "subgenre": _get_texts(tracks, "subgenre", genre.to_pylist()),
        "release_day": _read_days(tracks),
    }
    return pa.table(columns, schema=TRACK_SCHEMA)


def _get_texts(tracks: pa.Table, column: str, default: list[str]) -> pa.ChunkedArray:
    fallback = pa.array(default, pa.string())
    if column not in tracks.column_names:
        return pa.chunked_array([fallback])
    text: pa.ChunkedArray = pc.coalesce(tracks[column].cast(pa.string()), fallback)
    return text


def _to_number(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers, or texts of numbers; an empty text is null."""
    if pa.types.is_string(column.type):
        text = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(text, ""), None, text)
    return column.cast(pa.float64())


def _compute_popularity(tracks: pa.Table) -> np.ndarray:
    """A heavy-tailed weight: Spotify's 0 to 100 is about a logarithm of plays, so it is exponentiated; counts are kept."""
    if "popularity" not in tracks.column_names:
        return np.ones(len(tracks))
    value = np.nan_to_num(_to_number(tracks["popularity"]).to_numpy(), nan=0.0).clip(0)
    return np.asarray(np.exp(value / 12.0) if value.max() <= _SCORE_TOP else value + 1.0)


def _read_days(tracks: pa.Table) -> pa.Array:
    """Release days from dates, months, years or timestamps; 1970-01-01 where unknown."""
    if "release_day" not in tracks.column_names:
        return pa.repeat(0, len(tracks))
    return pa.array([_count_days(_expand_date(text)) or 0 for text in _read_dates(tracks).to_pylist()], pa.int64())


def _read_dates(tracks: pa.Table) -> pa.ChunkedArray:
    """The part of each text with the day, month or year; empty where unknown."""
    return pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(pc.fill_null(tracks["release_day"].cast(pa.string()), "")), 0, 10)


def _expand_date(text: str) -> str:
    """A day: the first of a month or of a year (which a file can contain as a decimal number)."""
    text = text.removesuffix(".0")
    return text + "-01-01"[len(text) - 4 :] if len(text) in (4, 7) else text


def _count_days(text: str) -> int | None:
    """Days since 1970 of YYYY-MM-DD, 0 for an empty text, None for any other."""
    try:
        return int(np.datetime64(text, "D").astype(np.int64)) if text else 0
    except ValueError:
        return None
