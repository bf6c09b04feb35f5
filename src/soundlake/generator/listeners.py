"""Who listens: each listener's tastes, habits and devices, a pure function of the seed and their number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundlake.generator import places
from soundlake.generator.catalogue import DIMENSIONS, Catalogue, Floats, Ints
from soundlake.generator.randomness import Keys, child_keys, choose, draw, draw_normal, draw_normals, root_key

INTERESTS = 6
CONTEXTS = ("collection", "album", "playlist", "radio", "search", "repeat", "editorial")
DEVICES: tuple[tuple[str, str], ...] = (
    ("mobile", "Android OS 14 API 34 (Google, Pixel 8)"), ("mobile", "iOS 18.1 (iPhone15,3)"), ("desktop", "Windows 11 (10.0.22631; x64)"),
    ("desktop", "OS X 14.6.1 [arm 2]"), ("web", "WebPlayer (websocket RFC6455)"), ("speaker", "Partner sonos_ppc Sonos;Play1"),
    ("car", "Android Auto"), ("tv", "Partner android_tv Sony;BRAVIA"), ("tablet", "iOS 17.6 (iPad13,4)"),
)  # fmt: skip
"""Type and platform of each device."""
_DEVICE_MEANS = np.array([3.0, 3.0, 1.3, 0.9, 0.5, 0.5, 0.35, 0.2, 0.3])
_CONTEXT_MEANS = np.array([3.0, 1.2, 2.5, 0.9, 0.9, 0.15, 1.0])
_FOCUS = 7.0
"""How strongly a listener keeps to the clusters near their place in the taste space."""

_HOURS_FROM_FOUR = np.arange(24)
_MOMENTS = np.array([3.5, 8.0, 13.0, 15.5, 19.0])
_WIDTHS = np.array([1.1, 3.0, 1.3, 2.4, 1.6])
"""Morning, work, way home, evening, night: hours after 4 o'clock, and how wide."""


@dataclass(frozen=True)
class Listeners:
    """Columns of a block of listeners, in the order of their numbers."""

    number: Ints
    key: Keys
    place: Ints
    position: Floats
    interest_cluster: Ints
    interest_reach: Floats
    library_exponent: Floats
    library_size: Floats
    sittings_per_day: Floats
    weekend_factor: Floats
    hour_reach: Floats
    plays_mu: Floats
    plays_sigma: Floats
    switch_share: Floats
    context_reach: Floats
    device_reach: Floats
    skip_bias: Floats
    shuffle_share: Floats
    private_share: Floats
    offline_share: Floats
    like_share: Floats
    playlists: Floats


def make_listeners(catalogue: Catalogue, seed: int, numbers: Ints) -> Listeners:
    """The listeners of those numbers."""
    key = child_keys(root_key(seed, catalogue.fingerprint), "listener", numbers)
    position = _draw_positions(catalogue, key)
    clusters, reach = _draw_interests(catalogue, key, position)
    return Listeners(
        number=numbers,
        key=key,
        place=np.searchsorted(places.SHARES, draw(key, "place"), side="right"),
        position=position,
        interest_cluster=clusters,
        interest_reach=reach,
        library_exponent=1.25 + 0.55 * draw(key, "library exponent"),
        library_size=np.exp(np.log(60) + 0.8 * draw_normal(key, "library size")).clip(8, 600),
        sittings_per_day=np.exp(np.log(1.35) + 0.6 * draw_normal(key, "sittings")).clip(0.1, 7),
        weekend_factor=np.exp(0.35 * draw_normal(key, "weekend")),
        hour_reach=_draw_hours(key),
        plays_mu=np.log(6.5) + 0.45 * draw_normal(key, "plays mean"),
        plays_sigma=0.7 + 0.5 * draw(key, "plays spread"),
        switch_share=0.04 + 0.22 * draw(key, "switch") ** 2,
        context_reach=_draw_mixture(key, "context", _CONTEXT_MEANS, 1.0),
        device_reach=_draw_mixture(key, "device", _DEVICE_MEANS, 2.2),
        skip_bias=-1.9 + 0.9 * draw_normal(key, "skip"),
        shuffle_share=draw(key, "shuffle") ** 1.5,
        private_share=0.03 * draw(key, "private") ** 4,
        offline_share=0.15 * draw(key, "offline") ** 3,
        like_share=0.03 * draw(key, "like") ** 2 + 0.002,
        playlists=np.floor(1 + 10 * draw(key, "playlists") ** 2),
    )


def _draw_positions(catalogue: Catalogue, key: Keys) -> Floats:
    """A place near one of the clusters, which is the listener's home."""
    reach = np.cumsum(catalogue.cluster_pull)
    home = np.searchsorted(reach[:-1], draw(key, "home") * reach[-1], side="right")
    place = catalogue.cluster_position[home] + 0.35 * draw_normals(key, "position", DIMENSIONS)
    return place / np.linalg.norm(place, axis=1, keepdims=True)


def _draw_interests(catalogue: Catalogue, key: Keys, position: Floats) -> tuple[Ints, Floats]:
    """The clusters each listener turns to, drawn without repeat by nearness (Gumbel top-k), and their cumulated weights."""
    clusters = np.arange(len(catalogue.cluster_name))
    chance = draw(child_keys(key[:, None], "interest", clusters), "gumbel")
    score = np.log(catalogue.cluster_pull) + _FOCUS * (position @ catalogue.cluster_position.T) - np.log(-np.log(chance + 1e-300))
    chosen = np.argsort(-score, axis=1, kind="stable")[:, : min(INTERESTS, len(clusters))]
    weight = np.exp(1.1 * draw_normals(key, "interest weight", chosen.shape[1]) - 0.45 * np.arange(chosen.shape[1]))
    reach = np.cumsum(weight, axis=1)
    return chosen, reach / reach[:, -1:]


def _draw_hours(key: Keys) -> Floats:
    """Cumulated shares of the 24 hours from 4 o'clock on: [listener, workday or weekend, hour]."""
    shift = 0.8 * draw_normal(key, "hour shift")
    distance = _HOURS_FROM_FOUR[None, None, :] + 0.5 - _MOMENTS[None, :, None] - shift[:, None, None]
    bumps = np.exp(-0.5 * (distance / _WIDTHS[None, :, None]) ** 2)
    weights = np.exp(draw_normals(key, "moments", 2 * len(_MOMENTS))).reshape(len(key), 2, len(_MOMENTS))
    shares = weights @ bumps + 0.015
    reach = np.cumsum(shares, axis=2)
    return np.asarray(reach / reach[:, :, -1:])


def _draw_mixture(key: Keys, purpose: str, means: Floats, spread: float) -> Floats:
    weight = means * np.exp(spread * draw_normals(key, purpose, len(means)))
    reach = np.cumsum(weight, axis=1)
    return reach / reach[:, -1:]


def choose_interest(listeners: Listeners, rows: Ints, shares: Floats) -> Ints:
    """The cluster that each row's listener turns to."""
    return listeners.interest_cluster[rows, choose(listeners.interest_reach[rows], shares)]


def is_eastern(listeners: Listeners) -> NDArray[np.bool_]:
    """Whether each listener's local day may begin on the day before in UTC."""
    return places.EASTERN[listeners.place]
