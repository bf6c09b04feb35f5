"""Builds a catalogue from a table of tracks: nested levels, positions in the taste space, cumulative popularity."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.generator.model.catalogue import DIMENSIONS, Catalogue
from soundlake.generator.model.randomness import Floats, Ints, Keys, draw_normals, hash_text

TRACK_SCHEMA = pa.schema(
    [
        pa.field("track_id", pa.string()),
        pa.field("track_name", pa.string()),
        pa.field("artist_id", pa.string()),
        pa.field("artist_name", pa.string()),
        pa.field("album_id", pa.string()),
        pa.field("album_name", pa.string()),
        pa.field("duration_ms", pa.int64()),
        pa.field("popularity", pa.float64()),
        pa.field("genre", pa.string()),
        pa.field("subgenre", pa.string()),
        pa.field("release_day", pa.int64()),
    ]
)
"""One row per track; `popularity` is a weight above 0, `release_day` counts from 1970-01-01; nothing is null."""

_SUBGENRE_SPREAD, _ARTIST_SPREAD = 0.22, 0.28


def build_catalogue(tracks: pa.Table, weights: dict[str, float] | None = None) -> Catalogue:
    """The catalogue of these tracks (TRACK_SCHEMA). An artist belongs to the sub-genre of their first track.

    `weights` maps sub-genres to a factor on how often listeners choose them (default 1).
    """
    first_of_artist = _first_rows(tracks["artist_id"])
    cluster_text = pc.binary_join_element_wise(tracks["genre"], tracks["subgenre"], "\x1f").combine_chunks()
    artist_code, _ = _encode(tracks["artist_id"])
    cluster_code, clusters = _encode(cluster_text.take(pa.array(first_of_artist[artist_code])))
    album_code, _ = _encode(pc.binary_join_element_wise(tracks["artist_id"], tracks["album_id"], "\x1f"))
    release = tracks["release_day"].to_numpy()
    album_release = np.minimum.reduceat(release[np.argsort(album_code, kind="stable")], _cumulate_counts(np.bincount(album_code))[:-1])[
        album_code
    ]
    order = np.lexsort((np.arange(len(tracks)), album_code, album_release, artist_code, cluster_code))
    sorted_tracks = tracks.take(pa.array(order))
    artist, artist_rows = _number_runs(artist_code[order])
    album, album_rows = _number_runs(album_code[order])
    weight = sorted_tracks["popularity"].to_numpy()
    cluster_of_artist = cluster_code[order][artist_rows]
    names = clusters.to_pylist()
    cluster_position = _place_clusters(names)
    return Catalogue(
        cluster_name=[name.split("\x1f")[1] for name in names],
        cluster_position=cluster_position,
        cluster_weight=np.array([(weights or {}).get(name.split("\x1f")[1], 1.0) for name in names]),
        cluster_first=np.searchsorted(cluster_of_artist, np.arange(len(names) + 1)),
        artist_id=_pick(sorted_tracks, "artist_id", artist_rows),
        artist_name=_pick(sorted_tracks, "artist_name", artist_rows),
        artist_position=_place_artists(cluster_position[cluster_of_artist], _pick(sorted_tracks, "artist_id", artist_rows)).astype(
            np.float32
        ),
        artist_popularity_cumsum=_cumulate(np.add.reduceat(weight, artist_rows)),
        album_first_of_artist=np.searchsorted(artist[album_rows], np.arange(len(artist_rows) + 1)),
        album_id=_pick(sorted_tracks, "album_id", album_rows),
        album_name=_pick(sorted_tracks, "album_name", album_rows),
        album_release_day=sorted_tracks["release_day"].to_numpy()[album_rows],
        track_first_of_album=np.append(album_rows, len(tracks)),
        track_id=_column(sorted_tracks, "track_id"),
        track_name=_column(sorted_tracks, "track_name"),
        track_artist=artist,
        track_album=album,
        track_duration_ms=sorted_tracks["duration_ms"].to_numpy(),
        track_popularity_cumsum=_cumulate(weight),
        fingerprint=_compute_fingerprint(sorted_tracks),
    )


def _first_rows(column: pa.ChunkedArray) -> Ints:
    """The first row of each distinct value, in the order of their codes."""
    codes, _ = _encode(column)
    return np.unique(codes, return_index=True)[1]


def _encode(column: pa.ChunkedArray | pa.Array) -> tuple[Ints, pa.Array]:
    """The index of each value among the distinct values, and those in order of first appearance."""
    encoded = column.dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def _number_runs(codes: Ints) -> tuple[Ints, Ints]:
    """The number of each run of equal codes, from 0, and the row at which each run begins."""
    starts = np.diff(codes, prepend=-1) != 0
    return np.cumsum(starts) - 1, np.flatnonzero(starts)


def _column(tracks: pa.Table, name: str) -> pa.Array:
    return tracks[name].combine_chunks()


def _pick(tracks: pa.Table, name: str, rows: Ints) -> pa.Array:
    return _column(tracks, name).take(pa.array(rows))


def _place_clusters(names: list[str]) -> Floats:
    """Positions on the unit sphere from hashes of the names: a genre anywhere, a sub-genre near its genre."""
    genre = _normalize(_hash_normals([name.split("\x1f")[0] for name in names], "genre"))
    return _normalize(genre + _SUBGENRE_SPREAD * _hash_normals(names, "subgenre"))


def _place_artists(centre: Floats, ids: pa.Array) -> Floats:
    return _normalize(centre + _ARTIST_SPREAD * _hash_normals(ids.to_pylist(), "artist"))


def _hash_normals(texts: list[str], purpose: str) -> Floats:
    keys: Keys = np.array([hash_text(text) for text in texts], np.uint64)
    return draw_normals(keys, purpose, DIMENSIONS)


def _normalize(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _cumulate(weights: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(weights)])


def _cumulate_counts(counts: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _compute_fingerprint(tracks: pa.Table) -> int:
    """A hash of the tracks of 63 bits."""
    digest = hashlib.blake2b(digest_size=8)
    for name in ("track_id", "album_id", "artist_id"):
        for text in tracks[name].to_pylist():
            digest.update(text.encode() + b"\x1f")
    digest.update(tracks["duration_ms"].to_numpy().tobytes())
    return int.from_bytes(digest.digest(), "little") >> 1
