"""The taste of each listener: a path through the taste space, clusters of interest at both ends of it, a favourite artist."""

from __future__ import annotations

import numpy as np

from soundlake.generator.model.catalogue import DIMENSIONS, Catalogue
from soundlake.generator.model.randomness import Floats, Ints, Keys, child_keys, combine, draw, draw_normals, draw_pair

INTERESTS = 6
DRIFT_STEPS = 16
"""Steps of a path from one end to the other."""
_FOCUS = 7.0
"""How strongly a listener prefers the clusters near their position in the taste space."""
_DEVOTED_SHARE = 0.18


def draw_paths(catalogue: Catalogue, key: Keys) -> Floats:
    """The positions on each path: [listener, step, dimension], from near one cluster to a position 15 to 55 degrees away."""
    total = np.cumsum(catalogue.cluster_weight)
    home = np.searchsorted(total[:-1], draw(key, "home") * total[-1], side="right")
    begin = _normalize(catalogue.cluster_position[home] + 0.35 * draw_normals(key, "position", DIMENSIONS))
    end = _normalize(begin + (0.1 + 0.4 * draw(key, "drift")[:, None]) * draw_normals(key, "drift to", DIMENSIONS))
    share = np.linspace(0.0, 1.0, DRIFT_STEPS + 1)[None, :, None]
    return _normalize(begin[:, None] * (1.0 - share) + end[:, None] * share).astype(np.float32)


def draw_interests(catalogue: Catalogue, key: Keys, path: Floats) -> tuple[Ints, Floats]:
    """The clusters of interest at each end of the path, [listener, end, rank], and the cumulative shares of the ranks.

    Drawn without replacement by proximity (Gumbel top-k). Both ends use the same noise, so clusters near both ends are kept.
    """
    clusters = np.arange(len(catalogue.cluster_name))
    chance = draw(child_keys(key[:, None], "interest", clusters), "gumbel")
    noise = np.log(catalogue.cluster_weight) - np.log(-np.log(chance + 1e-300))
    columns = list(catalogue.cluster_position.T)
    count = min(INTERESTS, len(clusters))
    chosen = np.stack(
        [np.argsort(-(noise + _FOCUS * combine(path[:, end], columns)), axis=1, kind="stable")[:, :count] for end in (0, -1)], axis=1
    )
    weight = np.exp(1.1 * draw_normals(key, "interest weight", count) - 0.45 * np.arange(count))
    total = np.cumsum(weight, axis=1)
    return chosen, total / total[:, -1:]


def draw_favourite_artists(catalogue: Catalogue, key: Keys, clusters: Ints) -> Ints:
    """One artist of the cluster for each listener: the one with the most tracks among three popular ones."""
    shares = draw(child_keys(key[:, None], "idol", np.arange(3)), "artist")
    candidates = catalogue.draw_artists(np.broadcast_to(clusters[:, None], shares.shape), shares)
    best = np.argmax(catalogue.count_tracks(candidates), axis=1)
    return np.asarray(candidates[np.arange(len(key)), best])


def draw_favourite_artist_shares(key: Keys) -> Floats:
    """The favourite artist's share of the library: almost nothing for most, almost everything for one listener in six."""
    devoted, share = draw_pair(key, "devotion")
    return np.where(devoted < _DEVOTED_SHARE, 0.75 + 0.245 * np.sqrt(share), 0.25 * share**4)


def _normalize(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
