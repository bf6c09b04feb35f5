"""Cards of one figure each, with its change and a sparkline of bars that start at zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st


@dataclass(frozen=True)
class SparkBar:
    """One bar of a sparkline; `value` None is a gap, `label` is shown on hover."""

    value: float | None
    label: str


def show_figure_card(label: str, shown: str, change: str | None, bars: Sequence[SparkBar], *, meaning: str | None = None) -> None:
    """Draws one card; `change` is in words, None without something to compare with."""
    is_still = change is not None and not change.strip("+-0. %points")
    with st.container(border=True, height="stretch", gap="small", vertical_alignment="distribute"):
        st.metric(
            label,
            shown,
            "no change" if is_still else change,
            delta_color="off" if is_still else "primary",
            delta_arrow="off" if is_still else "auto",
            help=meaning,
        )
        st.html(render_sparkline(bars, label))


def render_sparkline(bars: Sequence[SparkBar], name: str) -> str:
    """The bars as HTML, the tallest at full height."""
    most = max((bar.value for bar in bars if bar.value is not None), default=0) or 1
    columns = "".join(_render_bar(bar, most) for bar in bars)
    return f'<div class="spark" role="img" aria-label="{escape(name)} over time">{columns}</div>'


def _render_bar(bar: SparkBar, most: float) -> str:
    inner = "" if bar.value is None else f'<span style="height:{bar.value / most:.1%}"></span>'
    return f'<div title="{escape(bar.label)}">{inner}</div>'
