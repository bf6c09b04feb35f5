"""The ten most played tracks, artists and albums."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from soundlake.dashboard import queries
from soundlake.dashboard.formatting import format_count, format_duration, format_share
from soundlake.dashboard.page import Page, View
from soundlake.dashboard.query_results import Content, Measure, RankedItem
from soundlake.dashboard.ranked_list import ListEntry, show_ranked_list

_TOP = 10
_LISTS: tuple[tuple[str, Content], ...] = (("Top tracks", "track"), ("Top artists", "artist"), ("Top albums", "album"))
_MEASURES: dict[str, Measure] = {"Plays": "plays", "Listening time": "time"}


def render(view: View) -> None:
    """Draws the page."""
    measure = _MEASURES[st.segmented_control("Ranked by", list(_MEASURES), default="Plays", required=True, key="by", bind="query-params")]
    for column, (title, content) in zip(st.columns(len(_LISTS), gap="medium"), _LISTS, strict=True):
        with column:
            st.subheader(title, anchor=False)
            ranked = view.ask(queries.rank_content, view.filters, content, measure, _TOP)
            if ranked:
                show_ranked_list(list_entries(ranked, measure), title)
            else:
                st.caption("Nothing was played for at least 30 seconds.")
    st.caption(f"Shares are of {'all plays' if measure == 'plays' else 'the listening time of all plays'} that match the filters.")


def list_entries(ranked: Sequence[RankedItem], measure: Measure) -> list[ListEntry]:
    """The entries of a list; the first has the longest bar."""
    most = max((item.share for item in ranked), default=0) or 1
    return [
        ListEntry(
            name=item.name,
            by=item.by,
            bar=item.share / most,
            figure=format_count(item.plays) if measure == "plays" else format_duration(item.heard_ms),
            share=format_share(item.share),
        )
        for item in ranked
    ]


PAGE = Page(order=20, title="Top Content", path="top-content", icon=":material/leaderboard:", render=render)
