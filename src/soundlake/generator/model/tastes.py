"""What is planted in each listener: a way through the taste space, clusters of interest at both ends of it, an idol."""

from __future__ import annotations

import numpy as np

from soundlake.generator.model.catalogue import DIMENSIONS, Catalogue
from soundlake.generator.model.randomness import Floats, Ints, Keys, child_keys, combine, draw, draw_normals, draw_pair

INTERESTS = 6
DRIFT_STEPS = 16
"""Steps of a taste on the way from one end to the other."""
_FOCUS = 7.0
"""How strongly a listener keeps to the clusters near their place in the taste space."""
_DEVOTED_SHARE = 0.18


def draw_paths(catalogue: Catalogue, key: Keys) -> Floats:
    """The places each taste wanders through: [listener, step, dimension], from near one cluster to somewhere 15 to 55 degrees away."""
    reach = np.cumsum(catalogue.cluster_weight)
    home = np.searchsorted(reach[:-1], draw(key, "home") * reach[-1], side="right")
    begin = _normalize(catalogue.cluster_position[home] + 0.35 * draw_normals(key, "position", DIMENSIONS))
    end = _normalize(begin + (0.1 + 0.4 * draw(key, "drift")[:, None]) * draw_normals(key, "drift to", DIMENSIONS))
    share = np.linspace(0.0, 1.0, DRIFT_STEPS + 1)[None, :, None]
    return _normalize(begin[:, None] * (1.0 - share) + end[:, None] * share).astype(np.float32)


def draw_interests(catalogue: Catalogue, key: Keys, path: Floats) -> tuple[Ints, Floats]:
    """The clusters each listener turns to at either end of the path: [listener, end, place], and the cumulated weights of the places.

    Drawn without repeat by nearness (Gumbel top-k) with one luck for both ends, so that what is near to both stays.
    """
    clusters = np.arange(len(catalogue.cluster_name))
    chance = draw(child_keys(key[:, None], "interest", clusters), "gumbel")
    luck = np.log(catalogue.cluster_weight) - np.log(-np.log(chance + 1e-300))
    columns = list(catalogue.cluster_position.T)
    count = min(INTERESTS, len(clusters))
    chosen = np.stack(
        [np.argsort(-(luck + _FOCUS * combine(path[:, end], columns)), axis=1, kind="stable")[:, :count] for end in (0, -1)], axis=1
    )
    weight = np.exp(1.1 * draw_normals(key, "interest weight", count) - 0.45 * np.arange(count))
    reach = np.cumsum(weight, axis=1)
    return chosen, reach / reach[:, -1:]


def draw_favourite_artists(catalogue: Catalogue, key: Keys, clusters: Ints) -> Ints:
    """One artist of that cluster for each listener, with the most tracks of three popular ones."""
    shares = draw(child_keys(key[:, None], "idol", np.arange(3)), "artist")
    candidates = catalogue.draw_artists(np.broadcast_to(clusters[:, None], shares.shape), shares)
    best = np.argmax(catalogue.count_tracks(candidates), axis=1)
    return np.asarray(candidates[np.arange(len(key)), best])


def draw_favourite_artist_shares(key: Keys) -> Floats:
    """How much of the library is the idol's: next to nothing for most, nearly everything for one in six."""
    devoted, share = draw_pair(key, "devotion")
    return np.where(devoted < _DEVOTED_SHARE, 0.75 + 0.245 * np.sqrt(share), 0.25 * share**4)


def _normalize(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
