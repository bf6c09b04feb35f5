"""The style of our own HTML, in the colours of the theme that the browser reports."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st

from soundlake.dashboard.theme import Palette, choose_palette

_STYLESHEET = Path(__file__).with_name("assets") / "style.css"


def apply_style() -> None:
    """Adds the stylesheet and its colours to the page."""
    palette = choose_palette(st.context.theme.type)
    st.html(f"<style>{_list_colours(palette)}{_read_stylesheet()}</style>")


def _list_colours(palette: Palette) -> str:
    colours = {"accent": palette.accent, "line": palette.border, "page": palette.background}
    return ":root{" + "".join(f"--{name}:{colour};" for name, colour in colours.items()) + "}"


@cache
def _read_stylesheet() -> str:
    return _STYLESHEET.read_text("utf-8")
