"""What each listener knows: a personal library that no table holds, since every place in it is a hash of listener, place and time."""

from __future__ import annotations

import numpy as np

from soundlake.generator.listeners import Scene, choose_interest
from soundlake.generator.randomness import Floats, Ints, Keys, child_keys, draw, draw_pair

_SHORTEST_LIFE_DAYS, _LIFE_SPREAD_DAYS = 25.0, 400.0


def find_artists(scene: Scene, rows: Ints, slots: Ints, days: Ints) -> Ints:
    """The artist in that place of the listener's library on that day; places change hands after weeks to a year."""
    place = child_keys(scene.listeners.key[rows], "slot", slots)
    phase, life = draw_pair(place, "life")
    length = _SHORTEST_LIFE_DAYS + _LIFE_SPREAD_DAYS * life
    tenant = child_keys(place, "tenant", np.floor(days / length + phase).astype(np.int64))
    return discover_artists(scene, rows, tenant)


def discover_artists(scene: Scene, rows: Ints, keys: Keys) -> Ints:
    """An artist to each key: of two popular ones in a cluster of interest, the one nearer to the listener's place."""
    clusters = choose_interest(scene, rows, draw(keys, "interest"))
    is_obscure = draw(keys, "obscure") < scene.listeners.obscure_share[rows]
    shares = draw_pair(keys, "candidates")
    popular = [scene.catalogue.draw_artists(clusters, share) for share in shares]
    first, second = (
        np.where(is_obscure, scene.catalogue.draw_any_artists(clusters, share), star) for share, star in zip(shares, popular, strict=True)
    )
    affinities = [measure_affinity(scene, rows, candidate) for candidate in (first, second)]
    nearer = np.where(affinities[0] >= affinities[1], first, second)
    return np.where(draw(keys, "devotion") < scene.listeners.devotion[rows], scene.listeners.idol[rows], nearer)


def find_favourites(scene: Scene, rows: Ints, artists: Ints, ranks: Ints, days: Ints) -> Ints:
    """The listener's favourite tracks of the artists, by rank."""
    key = child_keys(child_keys(scene.listeners.key[rows], "artist", artists), "favourite", ranks)
    return scene.catalogue.draw_tracks(artists, draw(key, "track"), days)


def measure_affinity(scene: Scene, rows: Ints, artists: Ints) -> Floats:
    """Cosine of listener and artist in the taste space."""
    return np.asarray(np.einsum("ij,ij->i", scene.listeners.position[rows], scene.catalogue.artist_position[artists]))
