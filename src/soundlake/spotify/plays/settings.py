"""How a song is played: device, shuffle and context, in the words of the contract."""

from __future__ import annotations

from typing import TypedDict

from soundlake.spotify.models import PlayerState
from soundlake.spotify.plays.outcomes import Setting
from soundlake.spotify.plays.state import OpenPlay

DEVICE_TYPE_OF = {
    "computer": "desktop", "tablet": "tablet", "smartphone": "mobile", "speaker": "speaker", "avr": "speaker", "castaudio": "speaker",
    "audiodongle": "speaker", "tv": "tv", "stb": "tv", "castvideo": "tv", "gameconsole": "console", "automobile": "car",
    "smartwatch": "watch",
}  # fmt: skip
"""The contract's device_type of the service's device types, in lower case."""


class SettingFields(TypedDict):
    """The fields of OpenPlay that say how it is played."""

    device_type: str | None
    platform: str | None
    is_shuffle: bool | None
    context_uri: str | None


def describe_setting(answer: PlayerState) -> SettingFields:
    """What one answer says; null is unknown, not false (P03)."""
    platform = answer.device.type if answer.device else None
    return SettingFields(
        device_type=find_device_type(platform),
        platform=platform,
        is_shuffle=answer.shuffle_state,
        context_uri=answer.context.uri if answer.context else None,
    )


def find_device_type(platform: str | None) -> str | None:
    """The contract's device_type; `other` for a type never seen, null for none."""
    if platform is None or platform.casefold() == "unknown":
        return None
    return DEVICE_TYPE_OF.get(platform.casefold(), "other")


def fill_setting(play: OpenPlay, answer: PlayerState) -> None:
    """Take from a later answer what the first ones did not say. A song that moves to another device keeps its first one."""
    for name, value in describe_setting(answer).items():
        if getattr(play, name) is None:
            setattr(play, name, value)
    play.repeat_state = answer.repeat_state or play.repeat_state


def get_setting(play: OpenPlay) -> Setting:
    """The setting of a play."""
    return Setting(play.device_type, play.platform, play.is_shuffle, play.context_uri)
