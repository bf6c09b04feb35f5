"""Neighbours: generated listeners whose taste overlaps with one person's, so recommendations have other listeners to compare with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract.record import GENERATED_ID_PREFIX
from soundlake.errors import UsageError
from soundlake.generator.model.catalogue_builder import TRACK_SCHEMA, build_catalogue
from soundlake.generator.model.config import GeneratorConfig
from soundlake.generator.model.fake_catalogue.tracks import make_fake_tracks
from soundlake.generator.model.fake_catalogue.words import load_words
from soundlake.generator.model.randomness import hash_text
from soundlake.generator.model.world import World

_ARTISTS_PER_GROUP = 12
_OWN_SHARE = 0.5
"""Approximate share of the neighbours' interest in the person's artists."""
_TYPICAL_DURATION_MS = 210_000


def generate_neighbours(config: GeneratorConfig, person_tracks: pa.Table) -> Iterator[pa.Table]:
    """The events (EVENT_SCHEMA) of generated listeners over the person's tracks and a made-up catalogue; users are `neighbour-…`.

    `person_tracks` has one row per track: `track_id`, `track_name`, `artist_name` and optionally `artist_id`, `album_id`, `album_name`,
    `duration_ms`, `plays`. Rows without an id or names are left out. Ids are kept; missing values are made up.
    Raises UsageError if no row is left.
    """
    world = make_neighbour_world(config, person_tracks)
    for chunk in world.list_chunks():
        yield world.make_events(chunk)


def make_neighbour_world(config: GeneratorConfig, person_tracks: pa.Table) -> World:
    """The world of the neighbours: the person's artists in groups (one cluster each), together with a made-up catalogue."""
    own = _describe_own(person_tracks)
    fake = make_fake_tracks(config.tracks, config.seed)
    share = pc.sum(fake["popularity"]).as_py() / len(fake)
    own = own.set_column(TRACK_SCHEMA.get_field_index("popularity"), "popularity", pc.multiply(own["popularity"], share))
    catalogue = build_catalogue(pa.concat_tables([own, fake]), weights=_compute_cluster_weights(own, fake))
    return World(replace(config, catalog=None), catalogue, user_prefix="neighbour")


def _compute_cluster_weights(own: pa.Table, fake: pa.Table) -> dict[str, float]:
    """Factors that give the groups their share of the interest, whatever their number."""
    groups = own["subgenre"].unique().to_pylist()
    factor = pc.count_distinct(fake["subgenre"]).as_py() / len(groups) * _OWN_SHARE / (1 - _OWN_SHARE)
    return dict.fromkeys(groups, factor)


def _describe_own(tracks: pa.Table) -> pa.Table:
    """The person's tracks (TRACK_SCHEMA), with missing values filled in."""
    texts = [name for name in tracks.column_names if pa.types.is_large_string(tracks[name].type)]
    tracks = tracks.cast(pa.schema([pa.field(f.name, pa.string()) if f.name in texts else f for f in tracks.schema]))
    named = pc.and_(pc.is_valid(tracks["track_id"]), pc.and_(pc.is_valid(tracks["track_name"]), pc.is_valid(tracks["artist_name"])))
    tracks = tracks.filter(named)
    if not len(tracks):
        raise UsageError("neighbours: the person has no track with an id, a title and an artist", next_step="continue with --alone")
    tracks = tracks.take(pa.array(np.sort(np.unique(tracks["track_id"].to_numpy(), return_index=True)[1])))
    artist = _fill(tracks, "artist_id", _make_ids("artist", tracks["artist_name"]))
    album_name = _fill(tracks, "album_name", tracks["track_name"])
    genres = list(load_words().genres)
    groups = max(1, pc.count_distinct(artist).as_py() // _ARTISTS_PER_GROUP)
    group = [f"circle {int(hash_text(text)) % groups}" for text in artist.to_pylist()]
    plays = _fill(tracks, "plays", pa.repeat(1, len(tracks))).cast(pa.float64())
    duration = _fill(tracks, "duration_ms", pa.repeat(_TYPICAL_DURATION_MS, len(tracks))).cast(pa.int64())
    columns = {
        "track_id": tracks["track_id"],
        "track_name": tracks["track_name"],
        "artist_id": artist,
        "artist_name": tracks["artist_name"],
        "album_id": _fill(tracks, "album_id", _make_ids("album", pc.binary_join_element_wise(artist, album_name, " "))),
        "album_name": album_name,
        "duration_ms": pc.max_element_wise(duration, 1_000),
        "popularity": pc.sqrt(pc.max_element_wise(plays, 1.0)),
        "genre": pa.array([genres[int(hash_text(text)) % len(genres)] for text in group]),
        "subgenre": pa.array(group),
        "release_day": pa.repeat(0, len(tracks)),
    }
    return pa.table(columns, schema=TRACK_SCHEMA)


def _fill(tracks: pa.Table, name: str, default: pa.Array) -> pa.ChunkedArray:
    """The column, with the default for nulls or if the column is absent."""
    if name not in tracks.column_names:
        return pa.chunked_array([default]) if isinstance(default, pa.Array) else default
    filled: pa.ChunkedArray = pc.coalesce(tracks[name], default.cast(tracks[name].type))
    return filled


def _make_ids(kind: str, names: pa.ChunkedArray) -> pa.ChunkedArray:
    """Made-up ids for names."""
    return pa.chunked_array([[f"{GENERATED_ID_PREFIX}{kind}_{int(hash_text(text)):016x}" for text in names.to_pylist()]])
