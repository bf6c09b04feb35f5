"""Ranked lists as HTML: each entry with its full title in any script, a bar and its figures. All text from the data is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st


@dataclass(frozen=True)
class ListEntry:
    """One entry of a list: its name, the length (0 to 1; None: no bar) and colour of its bar, and its figures in words."""

    name: str
    bar: float | None
    figure: str
    share: str = ""
    by: str | None = None
    reason: str | None = None
    link: str | None = None
    link_text: str = ""
    badge: str = ""
    colour: str = "var(--accent)"


def show_ranked_list(entries: Sequence[ListEntry], label: str, *, numbered: bool = True) -> None:
    """Draws the list; `label` names it for screen readers."""
    items = "".join(_render_entry(str(number) if numbered else "", entry) for number, entry in enumerate(entries, start=1))
    st.html(f'<ol class="ranking{"" if numbered else " plain"}" aria-label="{escape(label)}">{items}</ol>')


def _render_entry(number: str, entry: ListEntry) -> str:
    by = f'<div class="by" dir="auto">{escape(entry.by)}</div>' if entry.by else ""
    reason = f'<div class="reason" dir="auto">{escape(entry.reason)}</div>' if entry.reason else ""
    share = f'<div class="share">{escape(entry.share)}</div>' if entry.share else ""
    link = (
        f'<a class="play" href="{escape(entry.link)}" target="_blank" rel="noopener noreferrer">{escape(entry.link_text)}</a>'
        if entry.link
        else ""
    )
    badge = f'<span class="invented">{escape(entry.badge)}</span>' if entry.badge else ""
    bar = "" if entry.bar is None else _render_bar(entry.bar, entry.colour)
    return (
        f'<li><span class="place">{number}</span>'
        f'<div><div class="name" dir="auto">{escape(entry.name)}</div>{by}{reason}</div>'
        f'<div class="figure"><div class="amount">{escape(entry.figure)}</div>{share}{link}{badge}</div>'
        f"{bar}</li>"
    )


def _render_bar(length: float, colour: str) -> str:
    return f'<div class="bar"><span style="width:{max(0.0, min(1.0, length)):.2%};background:{escape(colour)}"></span></div>'
