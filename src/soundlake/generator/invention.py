"""A made-up catalogue: genres as clusters of the taste space, believable names in several scripts, heavy-tailed popularity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from soundlake.contract.record import INVENTED_ID_PREFIX
from soundlake.generator import words
from soundlake.generator.catalogue import DIMENSIONS, Catalogue, Floats, Ints

_TRACKS_PER_ARTIST = 12
_FOREIGN_SHARE, _EMOJI_SHARE = 0.05, 0.01
_FIRST_RELEASE_DAY, _LAST_RELEASE_DAY = -1_826, 47_482  # 1965-01-01, 2100-01-01
_RECENT_DAY = 20_089  # 2025-01-01; releases go on evenly from then, so that simulated time sees new ones


def invent_catalogue(tracks: int, seed: int) -> Catalogue:
    """A catalogue of that many tracks, the same for the same seed."""
    random = np.random.Generator(np.random.PCG64([seed, tracks]))
    clusters = _invent_clusters(random)
    artists = max(len(clusters.names), tracks // _TRACKS_PER_ARTIST)
    cluster_of_artist = np.sort(
        np.concatenate(
            [np.arange(len(clusters.names)), random.choice(len(clusters.names), artists - len(clusters.names), p=clusters.share)]
        )
    )
    positions = clusters.positions[cluster_of_artist] + random.normal(0, 0.28, (artists, DIMENSIONS))
    popularity = _draw_popularity(random, artists, exponent=1.05)
    tracks_of_artist = _share_out(tracks, np.clip(random.lognormal(2.2, 0.7, artists), 2, 90))
    albums_of_artist, album_sizes = _cut_albums(random, tracks_of_artist)
    artist_of_album = np.repeat(np.arange(artists), albums_of_artist)
    release_day = _draw_releases(random, artist_of_album)
    artist_of_track, album_of_track = np.repeat(artist_of_album, album_sizes), np.repeat(np.arange(len(album_sizes)), album_sizes)
    names = _Namer(random, [clusters.names[c] for c in cluster_of_artist])
    return Catalogue(
        cluster_name=clusters.names,
        cluster_position=clusters.positions,
        cluster_first=np.searchsorted(cluster_of_artist, np.arange(len(clusters.names) + 1)),
        artist_id=_make_ids("artist", artists),
        artist_name=pa.array(names.name_artists()),
        artist_position=positions / np.linalg.norm(positions, axis=1, keepdims=True),
        artist_reach=_cumulate(popularity),
        album_first_of_artist=_cumulate_counts(albums_of_artist),
        album_id=_make_ids("album", len(album_sizes)),
        album_name=pa.array(names.name_works(artist_of_album, album_like=True)),
        album_release_day=release_day,
        track_first_of_album=_cumulate_counts(album_sizes),
        track_id=_make_ids("track", len(artist_of_track)),
        track_name=pa.array(names.name_works(artist_of_track, album_like=False)),
        track_artist=artist_of_track,
        track_album=album_of_track,
        track_duration_ms=np.clip(random.lognormal(np.log(212_000), 0.28, len(artist_of_track)), 32_000, 1_500_000).astype(np.int64),
        track_is_explicit=random.random(len(artist_of_track)) < 0.12,
        track_reach=_cumulate(popularity[artist_of_track] * random.lognormal(0, 1.1, len(artist_of_track))),
    )


@dataclass(frozen=True)
class _Clusters:
    names: list[str]
    positions: Floats
    share: Floats


def _invent_clusters(random: np.random.Generator) -> _Clusters:
    """One cluster a sub-genre, near its genre's centre on the unit sphere."""
    names, positions = [], []
    for subgenres in words.GENRES.values():
        centre = random.normal(0, 1, DIMENSIONS)
        centre /= np.linalg.norm(centre)
        for name in subgenres:
            place = centre + random.normal(0, 0.22, DIMENSIONS)
            names.append(name)
            positions.append(place / np.linalg.norm(place))
    share = random.lognormal(0, 0.6, len(names))
    return _Clusters(names, np.array(positions), share / share.sum())


def _draw_popularity(random: np.random.Generator, count: int, exponent: float) -> Floats:
    """Zipf's law over a random order."""
    return (random.permutation(count) + 1.0) ** -exponent


def _share_out(total: int, weights: Floats) -> Ints:
    """Whole numbers that sum to `total`, at least one each, in proportion to the weights."""
    spare = (total - len(weights)) * np.cumsum(weights) / weights.sum()
    return np.diff(np.floor(spare + 1e-9), prepend=0.0).astype(np.int64) + 1


def _cut_albums(random: np.random.Generator, tracks_of_artist: Ints) -> tuple[Ints, Ints]:
    """How many albums each artist has, and how many tracks each album."""
    wanted = np.clip(np.round(tracks_of_artist / random.uniform(6, 12, len(tracks_of_artist))), 1, 14).astype(np.int64)
    sizes = [
        np.diff(np.floor(np.linspace(0, tracks, albums + 1))).astype(np.int64)
        for tracks, albums in zip(tracks_of_artist, wanted, strict=True)
    ]
    return wanted, np.concatenate(sizes)


def _draw_releases(random: np.random.Generator, artist_of_album: Ints) -> Ints:
    """A release day of each album, ascending for each artist; a quarter of them later than the first one go on after 2025."""
    old = _RECENT_DAY - random.exponential(3_500, len(artist_of_album))
    new = random.uniform(_RECENT_DAY, _RECENT_DAY + 3_650, len(artist_of_album))
    is_first = np.diff(artist_of_album, prepend=-1) > 0
    day = np.where((random.random(len(artist_of_album)) < 0.25) & ~is_first, new, old)
    order = np.lexsort((day, artist_of_album))
    return np.clip(day[order], _FIRST_RELEASE_DAY, _LAST_RELEASE_DAY).astype(np.int64)


def _make_ids(kind: str, count: int) -> pa.Array:
    return pa.array([f"{INVENTED_ID_PREFIX}{kind}_{number:07d}" for number in range(count)])


def _cumulate(weights: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(weights)])


def _cumulate_counts(counts: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


class _Namer:
    """Names of artists and of what they made, in the script of the artist."""

    def __init__(self, random: np.random.Generator, genre_of_artist: list[str]) -> None:
        scripts = list(words.ARTISTS_BY_SCRIPT)
        foreign = random.random(len(genre_of_artist)) < _FOREIGN_SHARE
        other = random.integers(0, len(scripts), len(genre_of_artist))
        self._random = random
        self._scripts = [
            words.HOME_SCRIPT.get(genre) or (scripts[number] if is_foreign else None)
            for genre, is_foreign, number in zip(genre_of_artist, foreign, other, strict=True)
        ]

    def name_artists(self) -> list[str]:
        """A name for each artist, none twice."""
        taken: dict[str, int] = {}
        names = []
        for script in self._scripts:
            name = self._name_artist(script)
            taken[name] = taken.get(name, 0) + 1
            names.append(name if taken[name] == 1 else f"{name} {_write_roman(taken[name])}")
        return names

    def name_works(self, artists: Ints, *, album_like: bool) -> list[str]:
        """A title for each album or track of the given artists."""
        return [self._name_work(self._scripts[artist], album_like=album_like) for artist in artists]

    def _pick(self, options: list[str] | tuple[str, ...]) -> str:
        return options[int(self._random.random() * len(options))]

    def _name_artist(self, script: str | None) -> str:
        if script is not None:
            first, second = words.ARTISTS_BY_SCRIPT[script]
            joint = "" if script in ("japanese", "chinese", "thai") else " "
            return self._pick(first) + joint + self._pick(second)
        form = self._random.random()
        if form < 0.4:
            return f"{self._pick(words.GIVEN_NAMES)} {self._pick(words.FAMILY_NAMES)}"
        if form < 0.65:
            return f"The {self._pick(words.ADJECTIVES)} {self._pick(words.NOUNS)}"
        if form < 0.9:
            return f"{self._pick(words.ADJECTIVES)} {self._pick(words.NOUNS)}"
        return self._pick(words.NOUNS) + self._pick(words.NOUNS).lower()

    def _name_work(self, script: str | None, *, album_like: bool) -> str:
        if script is not None:
            first, second = words.TITLES_BY_SCRIPT[script]
            joint = "" if script in ("japanese", "chinese", "thai") else " "
            return self._pick(first) + joint + self._pick(second)
        form = self._random.random()
        if form < 0.3:
            title = f"{self._pick(words.VERBS)} {self._pick(words.THINGS)}"
        elif form < 0.6:
            title = f"{self._pick(words.ADJECTIVES)} {self._pick(words.NOUNS)}"
        elif form < 0.8:
            title = f"{self._pick(words.NOUNS)} and {self._pick(words.NOUNS)}"
        else:
            title = self._pick(words.NOUNS)
        if album_like:
            return title
        return title + self._pick(words.VERSIONS).format(guest=self._name_artist(None), emoji=self._pick(words.EMOJI))


def _write_roman(number: int) -> str:
    text = ""
    for value, sign in ((100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        text += sign * (number // value)
        number %= value
    return text
