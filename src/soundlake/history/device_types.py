"""Find the contract's device_type from the platform that a source names."""

from __future__ import annotations

import functools

_DEVICES: tuple[
    tuple[str, tuple[str, ...]], ...
] = (  # the first match decides; '' is a known platform without a device_type in the contract
    ("", ("playstation", ";ps", "xbox")),
    ("tv", ("_tv", "android tv", "apple tv", "fire tv", "tvos", "webos", "tizen", "roku")),
    ("car", ("carthing", "android auto", "automotive", "tesla")),
    ("speaker", ("sonos", "cast_audio", "alexa", "bose")),
    ("web", ("web",)),
    ("tablet", ("ipad", "tablet")),
    ("", ("partner",)),
    ("mobile", ("windows phone", "blackberry", "symbian", "android", "ios", "iphone", "ipod")),
    ("desktop", ("os x", "osx", "macos", "windows", "linux")),
)


@functools.lru_cache(maxsize=4096)
def find_device_type(platform: str | None) -> str | None:
    """`mobile` for 'Android OS 10 API 29 (Google, Pixel 3a)', `desktop` for 'OS X 10.13.0 [x86 8]', null if unclear ('cast')."""
    folded = (platform or "").casefold()
    return next((device for device, words in _DEVICES if any(word in folded for word in words)), "") or None
