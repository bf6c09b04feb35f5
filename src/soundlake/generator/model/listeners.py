"""Listeners: tastes, habits and devices, a pure function of the seed and the listener's number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundlake.generator.model import places
from soundlake.generator.model.archetypes import draw_context_cdf, draw_device_cdf, draw_hour_cdf, draw_trait, mix_archetypes
from soundlake.generator.model.catalogue import Catalogue
from soundlake.generator.model.randomness import Floats, Ints, Keys, child_keys, draw, draw_normal, root_key
from soundlake.generator.model.tastes import draw_favourite_artist_shares, draw_favourite_artists, draw_interests, draw_paths

_SHORTEST_DRIFT_DAYS, _DRIFT_SPREAD_DAYS = 700.0, 3_300.0
_NEWCOMER_SHARE, _LEAVER_SHARE = 0.08, 0.05
_FREE_SHARE, _CROSSFADE_SHARE = 0.4, 0.06

_LOGIT_SHRINKAGE = 0.346
"""Normal noise moves the mean of a logistic as if its logit were divided by sqrt(1 + 0.346 variance); the bias is scaled to compensate."""


@dataclass(frozen=True)
class Listeners:
    """Columns of a cohort of listeners, in the order of their numbers. Shares are probabilities; `*_cdf` are cumulative shares.

    `join_share` and `leave_share` are fractions of the simulated period; most listeners join before it and leave after it.
    A taste moves back and forth on its `path` (`tastes.draw_paths`): `drift_days` from one end to the other, at `drift_phase` in 1970.
    """

    number: Ints
    key: Keys
    place: Ints
    is_free: NDArray[np.bool_]
    mixture: Floats
    path: Floats
    drift_days: Floats
    drift_phase: Floats
    interest_cluster: Ints
    interest_cdf: Floats
    library_exponent: Floats
    library_size: Floats
    favourites_spread: Floats
    wander_share: Floats
    theme_share: Floats
    obscure_share: Floats
    away_share: Floats
    favourite_artist: Ints
    favourite_artist_share: Floats
    sessions_per_day: Floats
    mood_spread: Floats
    phase_spread: Floats
    season_strength: Floats
    season_phase: Floats
    soon_share: Floats
    soon_hours: Floats
    weekend_factor: Floats
    hour_cdf: Floats
    plays_mu: Floats
    plays_sigma: Floats
    switch_share: Floats
    context_cdf: Floats
    device_cdf: Floats
    skip_bias: Floats
    skip_mood: Floats
    skip_burst: Floats
    skip_haste: Floats
    pause_share: Floats
    pause_mood: Floats
    short_session_factor: Floats
    pause_mu: Floats
    pause_sigma: Floats
    change_ms: Floats
    crossfade_ms: Floats
    shuffle_share: Floats
    private_share: Floats
    offline_share: Floats
    overlap_share: Floats
    stop_share: Floats
    barely_share: Floats
    logout_share: Floats
    unknown_share: Floats
    like_share: Floats
    playlists: Floats
    playlist_interval_days: Floats
    playlist_phase: Floats
    join_share: Floats
    leave_share: Floats


@dataclass(frozen=True)
class Cohort:
    """A block of listeners, their catalogue and the seed of their world."""

    catalogue: Catalogue
    listeners: Listeners
    seed: int


def make_cohort(catalogue: Catalogue, seed: int, numbers: Ints) -> Cohort:
    """The cohort of the listeners with these numbers."""
    return Cohort(catalogue, make_listeners(catalogue, seed, numbers), seed)


def make_listeners(catalogue: Catalogue, seed: int, numbers: Ints) -> Listeners:
    """The listeners with these numbers."""
    key = child_keys(root_key(seed, catalogue.fingerprint), "listener", numbers)
    mixture = mix_archetypes(key)
    path = draw_paths(catalogue, key)
    clusters, cdf = draw_interests(catalogue, key, path)
    is_free = draw(key, "plan") < _FREE_SHARE
    skip_mood, skip_burst = 0.5 + 0.7 * draw(key, "skip mood"), 2.0 + 2.0 * draw(key, "skip burst")

    def trait(name: str) -> Floats:
        return draw_trait(key, mixture, name)

    return Listeners(
        number=numbers,
        key=key,
        place=np.searchsorted(places.SHARES_CDF, draw(key, "place"), side="right"),
        is_free=is_free,
        mixture=mixture,
        path=path,
        drift_days=_SHORTEST_DRIFT_DAYS + _DRIFT_SPREAD_DAYS * draw(key, "drift days"),
        drift_phase=2.0 * draw(key, "drift phase"),
        interest_cluster=clusters,
        interest_cdf=cdf,
        library_exponent=0.35 + np.exp(trait("concentration, log")),
        library_size=np.exp(trait("library, log")).clip(4, 3_000),
        favourites_spread=np.exp(np.log(4.0) + np.log(60.0) * draw(key, "favourites")),
        favourite_artist=draw_favourite_artists(catalogue, key, clusters[:, 0, 0]),
        favourite_artist_share=draw_favourite_artist_shares(key),
        obscure_share=0.9 * draw(key, "obscure"),
        away_share=0.02 + 0.5 * draw(key, "away") ** 3.5,
        wander_share=0.7 * draw(key, "wander") ** 1.5,
        theme_share=0.9 * draw(key, "themes") ** 1.5,
        sessions_per_day=np.exp(trait("sessions a day, log")).clip(0.05, 7),
        mood_spread=0.3 + 0.7 * draw(key, "mood spread"),
        phase_spread=0.7 * draw(key, "phase spread"),
        season_strength=0.35 * draw(key, "season strength") ** 1.5,
        season_phase=draw(key, "season phase"),
        soon_share=0.1 + 0.85 * draw(key, "soon share"),
        soon_hours=0.1 + 2.9 * draw(key, "soon hours") ** 2.2,
        weekend_factor=np.exp(trait("weekend, log")),
        hour_cdf=draw_hour_cdf(key, mixture),
        plays_mu=trait("plays a session, log"),
        plays_sigma=trait("plays a session, spread").clip(0.3, 1.5),
        switch_share=_squash(trait("switching, logit")),
        context_cdf=draw_context_cdf(key, mixture),
        device_cdf=draw_device_cdf(key, mixture),
        skip_bias=(trait("skips, logit") - 0.4 * is_free) * np.sqrt(1.0 + _LOGIT_SHRINKAGE * (skip_mood**2 + skip_burst**2)),
        skip_mood=skip_mood,
        skip_burst=skip_burst,
        skip_haste=_squash(trait("haste, logit")),
        pause_share=_squash(trait("pauses, logit")),
        pause_mood=0.4 + 0.9 * draw(key, "pause mood"),
        short_session_factor=0.7 + 1.2 * draw(key, "dipping"),
        pause_mu=trait("pause, log seconds"),
        pause_sigma=1.1 + 1.2 * draw(key, "pause spread"),
        change_ms=np.exp(6.1 + 0.35 * draw_normal(key, "change")),
        crossfade_ms=np.where(draw(key, "crossfade") < _CROSSFADE_SHARE, 1_000 + 9_000 * draw(key, "crossfade length"), 0.0),
        shuffle_share=_squash(trait("shuffle, logit") + 1.0 * is_free),
        private_share=0.03 * draw(key, "private") ** 4,
        offline_share=np.where(is_free, 0.0, 0.25 * draw(key, "offline") ** 4),
        overlap_share=0.04 + 0.3 * mixture[:, 5],
        stop_share=0.2 + 0.75 * draw(key, "stops"),
        barely_share=0.45 * draw(key, "stops at once") ** 1.5,
        logout_share=0.9 * draw(key, "logout") ** 1.5,
        unknown_share=0.09 * draw(key, "unknown ends") ** 3,
        like_share=np.exp(trait("likes, log")).clip(0, 0.2),
        join_share=np.where(draw(key, "newcomer") < _NEWCOMER_SHARE, draw(key, "joins"), -np.inf),
        leave_share=np.where(draw(key, "leaver") < _LEAVER_SHARE, draw(key, "leaves"), np.inf),
        playlist_interval_days=30.0 + 370.0 * draw(key, "list days") ** 1.5,
        playlist_phase=draw(key, "list phase"),
        playlists=np.floor(1 + 12 * draw(key, "playlists") ** 2),
    )


def _squash(logit: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def is_eastern(listeners: Listeners) -> NDArray[np.bool_]:
    """Whether each listener's local day can begin on the previous day in UTC."""
    return np.asarray(places.IS_EASTERN[listeners.place])
