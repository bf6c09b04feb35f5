"""Ranked lists as HTML: every place with its whole title in any script, a bar and its figures. Everything from the data is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st


@dataclass(frozen=True)
class Place:
    """One place of a list: what it is called, how long its bar is (0 to 1) and of what colour, and its figures in words."""

    name: str
    bar: float
    figure: str
    share: str = ""
    by: str | None = None
    reason: str | None = None
    link: str | None = None
    link_text: str = ""
    badge: str = ""
    colour: str = "var(--accent)"


def show_ranking(places: Sequence[Place], label: str, *, numbered: bool = True) -> None:
    """Draws the list; `label` says to a screen reader what is ranked."""
    items = "".join(_render_place(str(number) if numbered else "", place) for number, place in enumerate(places, start=1))
    st.html(f'<ol class="ranking{"" if numbered else " plain"}" aria-label="{escape(label)}">{items}</ol>')


def _render_place(number: str, place: Place) -> str:
    by = f'<div class="by" dir="auto">{escape(place.by)}</div>' if place.by else ""
    reason = f'<div class="reason" dir="auto">{escape(place.reason)}</div>' if place.reason else ""
    share = f'<div class="share">{escape(place.share)}</div>' if place.share else ""
    link = (
        f'<a class="play" href="{escape(place.link)}" target="_blank" rel="noopener noreferrer">{escape(place.link_text)}</a>'
        if place.link
        else ""
    )
    badge = f'<span class="invented">{escape(place.badge)}</span>' if place.badge else ""
    width = f"{max(0.0, min(1.0, place.bar)):.2%}"
    return (
        f'<li><span class="place">{number}</span>'
        f'<div><div class="name" dir="auto">{escape(place.name)}</div>{by}{reason}</div>'
        f'<div class="figure"><div class="amount">{escape(place.figure)}</div>{share}{link}{badge}</div>'
        f'<div class="bar"><span style="width:{width};background:{escape(place.colour)}"></span></div></li>'
    )
