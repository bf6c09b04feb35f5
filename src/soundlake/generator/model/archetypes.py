"""Archetypes of listeners; each listener is a mixture of them."""

from __future__ import annotations

import numpy as np

from soundlake.generator.model.randomness import Floats, Keys, combine, draw, draw_normal, draw_normals

MOMENTS = ("morning", "work", "way home", "evening", "night")
_MOMENT_HOURS = np.array([3.5, 7.5, 13.0, 15.5, 19.5])
_MOMENT_WIDTHS = np.array([1.3, 3.2, 1.6, 2.6, 2.0])
"""Centres and standard deviations, in hours after 04:00."""

ARCHETYPES = ("loyal", "explorer", "background", "commuter", "party", "child", "occasional")
_PRIOR = np.array([0.2, 0.0, 0.0, 0.0, -0.3, -0.5, 1.7])
_SPREAD = 1.9
"""Standard deviation of the logarithm of the shares: a larger one makes purer mixtures."""

TRAITS: dict[str, tuple[tuple[float, ...], float]] = {
    # trait: its mean for each archetype, and the standard deviation of listeners around the mean of their mixture
    "sessions a day, log": ((1.9, 2.0, 1.7, 2.1, 1.3, 1.7, 0.3), 0.75),
    "plays a session, log": ((1.95, 1.95, 2.5, 1.7, 2.4, 1.6, -0.9), 0.35),
    "plays a session, spread": ((1.2, 1.15, 1.1, 1.0, 1.15, 1.2, 0.8), 0.15),
    "skips, logit": ((-2.2, -0.9, -3.4, -1.7, -0.9, -1.3, -2.5), 0.9),
    "haste, logit": ((0.0, 0.8, -0.8, 0.3, 0.6, 0.8, -0.3), 0.7),
    "concentration, log": ((0.5, -2.4, -1.3, -0.8, -1.2, 0.0, -2.8), 0.8),
    "library, log": ((4.4, 7.4, 6.0, 5.5, 5.8, 4.6, 7.0), 0.7),
    "switching, logit": ((-3.2, -2.4, -3.6, -2.7, -2.0, -2.2, -2.2), 0.6),
    "pauses, logit": ((-2.3, -2.2, -2.8, -2.1, -2.4, -1.9, 1.4), 0.7),
    "pause, log seconds": ((4.4, 4.3, 4.6, 4.2, 4.2, 4.6, 6.1), 0.5),
    "weekend, log": ((0.0, 0.1, -0.5, -0.7, 1.0, 0.5, 0.2), 0.3),
    "shuffle, logit": ((-0.3, -1.0, 0.6, 0.3, 0.8, -0.5, 0.0), 1.6),
    "likes, log": ((-4.6, -3.6, -6.0, -5.0, -5.0, -4.8, -5.8), 0.8),
}

_MOMENT_WEIGHTS = np.array(
    [
        [0.6, 0.8, 1.0, 1.4, 0.6],
        [0.5, 1.0, 0.8, 1.4, 1.0],
        [0.6, 3.5, 0.8, 0.5, 0.1],
        [2.6, 0.4, 2.6, 0.6, 0.2],
        [0.1, 0.2, 0.6, 1.8, 3.0],
        [1.0, 0.6, 2.0, 1.6, 0.1],
        [0.4, 0.8, 0.8, 1.4, 0.5],
    ]
)

CONTEXTS = ("collection", "album", "playlist", "radio", "search", "repeat", "editorial")
_CONTEXT_WEIGHTS = np.array(
    [
        [2.0, 3.0, 2.0, 0.2, 0.8, 0.25, 0.1],
        [1.0, 1.6, 1.2, 2.2, 1.2, 0.05, 2.4],
        [1.0, 0.5, 3.0, 1.5, 0.1, 0.02, 2.0],
        [3.0, 0.8, 3.0, 0.6, 0.6, 0.1, 0.6],
        [1.0, 0.1, 3.0, 1.0, 1.6, 0.1, 2.0],
        [1.5, 0.6, 1.6, 0.3, 2.0, 0.4, 0.4],
        [2.0, 1.2, 1.0, 0.8, 1.4, 0.1, 0.6],
    ]
)

DEVICES: tuple[tuple[str, str], ...] = (
    ("mobile", "Android OS 14 API 34 (Google, Pixel 8)"), ("mobile", "iOS 18.1 (iPhone15,3)"), ("desktop", "Windows 11 (10.0.22631; x64)"),
    ("desktop", "OS X 14.6.1 [arm 2]"), ("web", "WebPlayer (websocket RFC6455)"), ("speaker", "Partner sonos_ppc Sonos;Play1"),
    ("car", "Android Auto"), ("tv", "Partner android_tv Sony;BRAVIA"), ("tablet", "iOS 17.6 (iPad13,4)"),
)  # fmt: skip
"""Type and platform of each device."""
_DEVICE_WEIGHTS = np.array(
    [
        [3.0, 3.0, 1.2, 0.9, 0.4, 0.5, 0.3, 0.2, 0.2],
        [2.5, 2.5, 1.8, 1.4, 0.8, 0.4, 0.2, 0.1, 0.2],
        [0.6, 0.6, 2.6, 1.8, 1.4, 1.2, 0.1, 0.4, 0.2],
        [3.6, 3.6, 0.3, 0.2, 0.1, 0.1, 2.4, 0.05, 0.1],
        [2.0, 2.0, 0.8, 0.6, 0.2, 2.4, 0.6, 1.2, 0.1],
        [1.6, 1.6, 0.4, 0.2, 0.3, 0.8, 0.2, 1.2, 2.6],
        [2.4, 2.4, 1.4, 0.8, 1.2, 0.4, 0.3, 0.3, 0.3],
    ]
)


def mix_archetypes(key: Keys) -> Floats:
    """The share of each archetype: one row per listener, which sums to 1."""
    weight = np.exp(_PRIOR + _SPREAD * draw_normals(key, "archetypes", len(ARCHETYPES)))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def draw_trait(key: Keys, mixture: Floats, trait: str) -> Floats:
    """The trait of each listener: the mean of their mixture plus normal noise."""
    centres, spread = TRAITS[trait]
    return np.asarray(combine(mixture, [np.asarray(centre) for centre in centres]) + spread * draw_normal(key, trait))


def draw_context_cdf(key: Keys, mixture: Floats) -> Floats:
    """Cumulative shares of the contexts for each listener."""
    return _draw_cdf(key, mixture, _CONTEXT_WEIGHTS, "contexts", 0.7)


def draw_device_cdf(key: Keys, mixture: Floats) -> Floats:
    """Cumulative shares of the devices for each listener; most listeners use few."""
    return _draw_cdf(key, mixture, _DEVICE_WEIGHTS, "devices", 2.2)


def draw_hour_cdf(key: Keys, mixture: Floats) -> Floats:
    """Cumulative shares of the 24 hours from 04:00 on: [listener, workday or weekend, hour]."""
    shift = 0.8 * draw_normal(key, "hour shift")
    hours = np.arange(24) + 0.5
    distance = hours[None, None, :] - _MOMENT_HOURS[None, :, None] - shift[:, None, None]
    width = (0.65 + 0.6 * draw(key, "regularity"))[:, None, None] * _MOMENT_WIDTHS[None, :, None]
    bumps = np.exp(-0.5 * (distance / width) ** 2)
    own = np.exp(0.55 * draw_normals(key, "moments", 2 * len(MOMENTS))).reshape(len(key), 2, len(MOMENTS))
    weights = own * combine(mixture, list(_MOMENT_WEIGHTS))[:, None, :]
    parts = list(bumps.transpose(1, 0, 2))
    floor = np.exp(-3.8 + 1.0 * draw_normal(key, "wakefulness"))[:, None, None]
    shares = np.stack([combine(weights[:, kind], parts) for kind in range(2)], axis=1) + floor
    total = np.cumsum(shares, axis=2)
    return np.asarray(total / total[:, :, -1:])


def _draw_cdf(key: Keys, mixture: Floats, weights: Floats, purpose: str, spread: float) -> Floats:
    weight = combine(mixture, list(weights)) * np.exp(spread * draw_normals(key, purpose, weights.shape[1]))
    total = np.cumsum(weight, axis=1)
    return np.asarray(total / total[:, -1:])
