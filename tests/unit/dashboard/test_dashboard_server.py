"""The flags of the server: this machine only, no telemetry to others, our colours."""

from __future__ import annotations

import re

from streamlit import config

from soundlake.dashboard.server import list_flags
from soundlake.dashboard.theme import DARK, LIGHT, choose_palette


def test_every_flag_is_an_option_that_streamlit_has() -> None:
    names = {flag.removeprefix("--").split("=")[0] for flag in list_flags("127.0.0.1", 8501)}
    assert names <= set(config.get_config_options())


def test_usage_statistics_are_off() -> None:
    assert "--browser.gatherUsageStats=false" in list_flags("127.0.0.1", 8501)


def test_a_server_on_loopback_accepts_its_own_host_names_only() -> None:
    assert "--server.allowedHosts=127.0.0.1" in list_flags("127.0.0.1", 8501)
    assert not [flag for flag in list_flags("0.0.0.0", 8501) if "allowedHosts" in flag]


def test_text_and_accent_can_be_read_on_both_backgrounds() -> None:
    for palette in (LIGHT, DARK):
        assert find_contrast(palette.text, palette.background) >= 7
        assert find_contrast(palette.accent, palette.background) >= 4.5
        assert all(find_contrast(colour, palette.background) >= 2.4 for colour in palette.series)


def test_the_palette_follows_the_browser() -> None:
    assert (choose_palette("dark"), choose_palette("light"), choose_palette(None)) == (DARK, LIGHT, LIGHT)


def find_contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.1, section 1.4.3."""
    lighter, darker = sorted((find_luminance(one), find_luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def find_luminance(colour: str) -> float:
    parts = [int(part, 16) / 255 for part in re.findall("..", colour.removeprefix("#"))]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
