"""Made-up tracks: genres, plausible names in several scripts, heavy-tailed popularity, future releases."""

from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa

from soundlake.contract.record import GENERATED_ID_PREFIX
from soundlake.generator.model.catalogue_builder import TRACK_SCHEMA
from soundlake.generator.model.fake_catalogue.names import NameGenerator
from soundlake.generator.model.fake_catalogue.words import load_words
from soundlake.generator.model.randomness import Floats, Ints

_TRACKS_PER_ARTIST = 12
_FIRST_RELEASE_DAY = -1_826  # 1965-01-01
_RECENT_DAY = 20_089  # 2025-01-01; releases then continue evenly for ten years, so simulated time sees new ones
_FUTURE_DAYS = 3_650
_FUTURE_SHARE = 0.25


def make_fake_tracks(tracks: int, seed: int) -> pa.Table:
    """A number of tracks (TRACK_SCHEMA), the same for the same seed."""
    random = np.random.Generator(np.random.PCG64([seed, tracks]))
    genres = [(genre, subgenre) for genre, subgenres in load_words().genres.items() for subgenre in subgenres]
    share = random.lognormal(0, 0.6, len(genres))
    artists = max(min(tracks, len(genres)), tracks // _TRACKS_PER_ARTIST)
    genre_of_artist = random.choice(len(genres), artists, p=share / share.sum())
    genre_of_artist[: len(genres)] = np.arange(min(len(genres), artists))
    fame = (random.permutation(artists) + 1.0) ** -1.0
    tracks_of_artist = _distribute(tracks, np.clip(random.lognormal(5.0, 0.6, artists) * fame**0.4, 3, 150))
    albums_of_artist, album_sizes = _split_into_albums(random, tracks_of_artist)
    artist_of_album = np.repeat(np.arange(artists), albums_of_artist)
    album = np.repeat(np.arange(len(album_sizes)), album_sizes)
    artist = artist_of_album[album]
    popularity = (fame / tracks_of_artist)[artist] * random.lognormal(0, 0.6, tracks)
    names = NameGenerator(Random(f"{seed} {tracks}"), [genres[genre][1] for genre in genre_of_artist])
    return pa.table(
        {
            "track_id": _make_ids("track", np.arange(tracks)),
            "track_name": pa.array(names.name_tracks(artist)),
            "artist_id": _make_ids("artist", artist),
            "artist_name": pa.array(names.name_artists()).take(pa.array(artist)),
            "album_id": _make_ids("album", album),
            "album_name": pa.array(names.name_albums(artist_of_album)).take(pa.array(album)),
            "duration_ms": _draw_durations(random, genre_of_artist, artist),
            "popularity": popularity,
            "genre": pa.array([genre for genre, _ in genres]).take(pa.array(genre_of_artist[artist])),
            "subgenre": pa.array([subgenre for _, subgenre in genres]).take(pa.array(genre_of_artist[artist])),
            "release_day": _draw_releases(random, artist_of_album)[album],
        },
        schema=TRACK_SCHEMA,
    )


def _draw_durations(random: np.random.Generator, genre_of_artist: Ints, artist: Ints) -> Ints:
    """Milliseconds; the typical length depends on genre and artist."""
    of_genre, of_artist = random.normal(0, 0.12, genre_of_artist.max() + 1), random.normal(0, 0.14, len(genre_of_artist))
    duration = random.lognormal(np.log(215_000) + (of_genre[genre_of_artist] + of_artist)[artist], 0.2)
    return np.asarray(np.clip(duration, 32_000, 1_500_000).astype(np.int64))


def _distribute(total: int, weights: Floats) -> Ints:
    """Whole numbers that sum to `total`, at least one each, in proportion to the weights."""
    spare = (total - len(weights)) * np.cumsum(weights) / weights.sum()
    return np.asarray(np.diff(np.floor(spare + 1e-9), prepend=0.0).astype(np.int64) + 1)


def _split_into_albums(random: np.random.Generator, tracks_of_artist: Ints) -> tuple[Ints, Ints]:
    """The number of albums of each artist, and the number of tracks of each album."""
    albums = np.clip(np.round(tracks_of_artist / random.uniform(6, 12, len(tracks_of_artist))), 1, 24).astype(np.int64)
    number = np.arange(albums.sum()) - np.repeat(np.cumsum(albums) - albums, albums)
    tracks, of = np.repeat(tracks_of_artist, albums), np.repeat(albums, albums)
    return albums, tracks * (number + 1) // of - tracks * number // of


def _draw_releases(random: np.random.Generator, artist_of_album: Ints) -> Ints:
    """The release day of each album, ascending per artist; some later albums are released after 2025."""
    albums = len(artist_of_album)
    past = _RECENT_DAY - random.exponential(3_500, albums)
    future = random.uniform(_RECENT_DAY, _RECENT_DAY + _FUTURE_DAYS, albums)
    is_first = np.diff(artist_of_album, prepend=-1) > 0
    day = np.where((random.random(albums) < _FUTURE_SHARE) & ~is_first, future, past)
    return np.maximum(day[np.lexsort((day, artist_of_album))], _FIRST_RELEASE_DAY).astype(np.int64)


def _make_ids(kind: str, numbers: Ints) -> pa.Array:
    names = pa.array([f"{GENERATED_ID_PREFIX}{kind}_{number:07d}" for number in range(int(numbers.max()) + 1)])
    return names.take(pa.array(numbers))
