"""Who listens: each listener's tastes, habits and devices, a pure function of the seed and their number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundlake.generator import places
from soundlake.generator.archetypes import draw_trait, mix_archetypes, reach_contexts, reach_devices, reach_hours
from soundlake.generator.catalogue import DIMENSIONS, Catalogue
from soundlake.generator.randomness import Floats, Ints, Keys, child_keys, choose, combine, draw, draw_normals, draw_pair, root_key

INTERESTS = 6
_FOCUS = 7.0
"""How strongly a listener keeps to the clusters near their place in the taste space."""
_NEWCOMER_SHARE, _LEAVER_SHARE = 0.08, 0.05
_FREE_SHARE, _CROSSFADE_SHARE, _DEVOTED_SHARE = 0.4, 0.06, 0.13


@dataclass(frozen=True)
class Listeners:
    """Columns of a block of listeners, in the order of their numbers. Shares are chances; `*_reach` are cumulated shares.

    `joins` and `leaves` are fractions of the time that the world is told for; most were there before and stay.
    """

    number: Ints
    key: Keys
    place: Ints
    is_free: NDArray[np.bool_]
    mixture: Floats
    position: Floats
    interest_cluster: Ints
    interest_reach: Floats
    library_exponent: Floats
    library_size: Floats
    favourites_reach: Floats
    wander_share: Floats
    obscure_share: Floats
    away_share: Floats
    idol: Ints
    devotion: Floats
    sittings_per_day: Floats
    mood_spread: Floats
    weekend_factor: Floats
    hour_reach: Floats
    plays_mu: Floats
    plays_sigma: Floats
    switch_share: Floats
    context_reach: Floats
    device_reach: Floats
    skip_bias: Floats
    haste: Floats
    pause_share: Floats
    pause_mu: Floats
    pause_sigma: Floats
    crossfade_ms: Floats
    shuffle_share: Floats
    private_share: Floats
    offline_share: Floats
    overlap_share: Floats
    logout_share: Floats
    unknown_share: Floats
    like_share: Floats
    playlists: Floats
    joins: Floats
    leaves: Floats


@dataclass(frozen=True)
class Scene:
    """Some listeners, the music there is for them, and the seed of their world."""

    catalogue: Catalogue
    listeners: Listeners
    seed: int


def set_scene(catalogue: Catalogue, seed: int, numbers: Ints) -> Scene:
    """The listeners of those numbers, before that catalogue."""
    return Scene(catalogue, make_listeners(catalogue, seed, numbers), seed)


def make_listeners(catalogue: Catalogue, seed: int, numbers: Ints) -> Listeners:
    """The listeners of those numbers."""
    key = child_keys(root_key(seed, catalogue.fingerprint), "listener", numbers)
    mixture = mix_archetypes(key)
    position = _draw_positions(catalogue, key)
    clusters, reach = _draw_interests(catalogue, key, position)
    is_free = draw(key, "plan") < _FREE_SHARE

    def trait(name: str) -> Floats:
        return draw_trait(key, mixture, name)

    return Listeners(
        number=numbers,
        key=key,
        place=np.searchsorted(places.SHARES, draw(key, "place"), side="right"),
        is_free=is_free,
        mixture=mixture,
        position=position.astype(np.float32),
        interest_cluster=clusters,
        interest_reach=reach,
        library_exponent=0.35 + np.exp(trait("concentration, log")),
        library_size=np.exp(trait("library, log")).clip(4, 3_000),
        favourites_reach=np.exp(np.log(4.0) + np.log(60.0) * draw(key, "favourites")),
        idol=_draw_idols(catalogue, key, clusters),
        devotion=_draw_devotion(key),
        obscure_share=0.9 * draw(key, "obscure"),
        away_share=0.02 + 0.4 * draw(key, "away") ** 4,
        wander_share=0.7 * draw(key, "wander") ** 1.5,
        sittings_per_day=np.exp(trait("sittings a day, log")).clip(0.05, 7),
        mood_spread=0.3 + 0.7 * draw(key, "mood spread"),
        weekend_factor=np.exp(trait("weekend, log")),
        hour_reach=reach_hours(key, mixture),
        plays_mu=trait("plays a sitting, log"),
        plays_sigma=trait("plays a sitting, spread").clip(0.3, 1.5),
        switch_share=_squash(trait("switching, logit")),
        context_reach=reach_contexts(key, mixture),
        device_reach=reach_devices(key, mixture),
        skip_bias=trait("skips, logit") - 0.4 * is_free,
        haste=_squash(trait("haste, logit")),
        pause_share=_squash(trait("pauses, logit")),
        pause_mu=trait("pause, log seconds"),
        pause_sigma=0.8 + 1.4 * draw(key, "pause spread"),
        crossfade_ms=np.where(draw(key, "crossfade") < _CROSSFADE_SHARE, 1_000 + 9_000 * draw(key, "crossfade length"), 0.0),
        shuffle_share=_squash(trait("shuffle, logit") + 1.0 * is_free),
        private_share=0.03 * draw(key, "private") ** 4,
        offline_share=np.where(is_free, 0.0, 0.25 * draw(key, "offline") ** 4),
        overlap_share=0.01 + 0.15 * mixture[:, 5],
        logout_share=0.9 * draw(key, "logout") ** 1.5,
        unknown_share=0.09 * draw(key, "unknown ends") ** 3,
        like_share=np.exp(trait("likes, log")).clip(0, 0.3),
        joins=np.where(draw(key, "newcomer") < _NEWCOMER_SHARE, draw(key, "joins"), -np.inf),
        leaves=np.where(draw(key, "leaver") < _LEAVER_SHARE, draw(key, "leaves"), np.inf),
        playlists=np.floor(1 + 12 * draw(key, "playlists") ** 2),
    )


def _squash(logit: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def _draw_positions(catalogue: Catalogue, key: Keys) -> Floats:
    """A place near one of the clusters, which is the listener's home."""
    reach = np.cumsum(catalogue.cluster_pull)
    home = np.searchsorted(reach[:-1], draw(key, "home") * reach[-1], side="right")
    place = catalogue.cluster_position[home] + 0.35 * draw_normals(key, "position", DIMENSIONS)
    return np.asarray(place / np.linalg.norm(place, axis=1, keepdims=True))


def _draw_interests(catalogue: Catalogue, key: Keys, position: Floats) -> tuple[Ints, Floats]:
    """The clusters each listener turns to, drawn without repeat by nearness (Gumbel top-k), and their cumulated weights."""
    clusters = np.arange(len(catalogue.cluster_name))
    chance = draw(child_keys(key[:, None], "interest", clusters), "gumbel")
    score = (
        np.log(catalogue.cluster_pull) + _FOCUS * combine(position, list(catalogue.cluster_position.T)) - np.log(-np.log(chance + 1e-300))
    )
    chosen = np.argsort(-score, axis=1, kind="stable")[:, : min(INTERESTS, len(clusters))]
    weight = np.exp(1.1 * draw_normals(key, "interest weight", chosen.shape[1]) - 0.45 * np.arange(chosen.shape[1]))
    reach = np.cumsum(weight, axis=1)
    return chosen, reach / reach[:, -1:]


def _draw_idols(catalogue: Catalogue, key: Keys, clusters: Ints) -> Ints:
    """One artist of the first interest for each listener, with the most tracks of three popular ones."""
    shares = draw(child_keys(key[:, None], "idol", np.arange(3)), "artist")
    candidates = catalogue.draw_artists(np.broadcast_to(clusters[:, :1], shares.shape), shares)
    best = np.argmax(catalogue.count_tracks(candidates), axis=1)
    return np.asarray(candidates[np.arange(len(key)), best])


def _draw_devotion(key: Keys) -> Floats:
    """How much of the library is the idol's: next to nothing for most, nearly everything for one in twelve."""
    devoted, share = draw_pair(key, "devotion")
    return np.where(devoted < _DEVOTED_SHARE, 0.75 + 0.245 * np.sqrt(share), 0.25 * share**4)


def choose_interest(scene: Scene, rows: Ints, shares: Floats) -> Ints:
    """The cluster that each row's listener turns to: one of their interests, or any when they wander."""
    catalogue, listeners = scene.catalogue, scene.listeners
    wander = listeners.wander_share[rows]
    within = ((shares - wander) / (1.0 - wander)).clip(0)
    anywhere = (shares / np.maximum(wander, 1e-9) * len(catalogue.cluster_name)).astype(np.int64)
    interest = listeners.interest_cluster[rows, choose(listeners.interest_reach[rows], within)]
    return np.where(shares < wander, np.minimum(anywhere, len(catalogue.cluster_name) - 1), interest)


def is_eastern(listeners: Listeners) -> NDArray[np.bool_]:
    """Whether each listener's local day may begin on the day before in UTC."""
    return np.asarray(places.EASTERN[listeners.place])
