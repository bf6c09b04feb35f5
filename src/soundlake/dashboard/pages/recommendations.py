"""Ten recommended tracks for one listener, each with its score and its reason."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from soundlake.dashboard import queries
from soundlake.dashboard.formatting import escape_markdown
from soundlake.dashboard.page import Page, View
from soundlake.dashboard.query_results import Recommendation
from soundlake.dashboard.ranked_list import ListEntry, show_ranked_list
from soundlake.dashboard.sidebar import LISTENER_KEY
from soundlake.dashboard.spotify_links import find_spotify_link

_OFFERED = 8


def render(view: View) -> None:
    """Draws the page."""
    listener = view.filters.listener or (view.listeners[0] if len(view.listeners) == 1 else None)
    if listener is None:
        _offer_listeners(view.listeners)
        return
    recommendations = view.ask(queries.list_recommendations, listener)
    if not recommendations:
        st.info("No recommendations for this listener yet: no other listener played the same tracks.", icon=":material/hourglass_empty:")
        return
    st.markdown(f"For **{escape_markdown(listener)}**, from the whole listening history; the filters for period and devices do not apply.")
    show_ranked_list(list_entries(recommendations), "Recommended tracks")
    if any(item.is_synthetic for item in recommendations):
        st.caption("Synthetic tracks are generated; they are not on Spotify.")


def list_entries(recommendations: Sequence[Recommendation]) -> list[ListEntry]:
    """The entries of the list; bars are relative to the best score."""
    best = max(item.score for item in recommendations) or 1
    return [_describe(item, best) for item in recommendations]


def _describe(item: Recommendation, best: float) -> ListEntry:
    link = find_spotify_link(item.track_id, item.track_name, item.artist_name, is_synthetic=item.is_synthetic)
    return ListEntry(
        name=item.track_name or item.track_id,
        by=" · ".join(word for word in (item.artist_name, item.album_name) if word),
        reason=item.reason[:1].upper() + item.reason[1:] if item.reason else None,
        bar=item.score / best,
        figure=f"score {item.score:.3f}" if item.score else "not scored",
        link=link,
        link_text="Play on Spotify" if link and "/track/" in link else "Search on Spotify",
        badge="synthetic track" if item.is_synthetic else "",
    )


def _offer_listeners(listeners: tuple[str, ...]) -> None:
    st.info("Recommendations are for one listener: choose one on the left, or one of the most active here.", icon=":material/person:")
    with st.container(horizontal=True):
        for listener in listeners[:_OFFERED]:
            st.button(escape_markdown(listener), key=f"offer {listener}", on_click=_choose, args=(listener,))


def _choose(listener: str) -> None:
    st.session_state[LISTENER_KEY] = listener


PAGE = Page(order=40, title="Recommendations", path="recommendations", icon=":material/recommend:", render=render, has_period=False)
