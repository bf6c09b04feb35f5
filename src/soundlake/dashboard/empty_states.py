"""What a page shows instead of its figures when there is nothing to show, with the next step."""

from __future__ import annotations

import streamlit as st

from soundlake.dashboard import filter_options, queries
from soundlake.dashboard.filters import ALL_TIME
from soundlake.dashboard.formatting import escape_markdown, format_moment
from soundlake.dashboard.page import View
from soundlake.dashboard.sidebar import DEVICES_KEY, LISTENER_KEY, PERIOD_KEY

_LIFTED: dict[str, tuple[str, object]] = {
    "Show all devices": (DEVICES_KEY, []),
    "Show all time": (PERIOD_KEY, ALL_TIME),
    "Show all listeners": (LISTENER_KEY, None),
}
"""Buttons that remove one filter: the key of its widget and the value that removes it."""


def show_no_match(view: View) -> None:
    """Says that no play matches the filters, and offers to remove those that are set."""
    listener = view.filters.listener
    last = view.ask(filter_options.find_extent, listener)
    newest = f" The newest play of {escape_markdown(listener)} was on {format_moment(last.last)}." if listener and last else ""
    st.info(f"No plays match these filters.{newest}", icon=":material/filter_alt_off:")
    offered = {
        "Show all devices": bool(view.filters.devices),
        "Show all time": st.session_state.get(PERIOD_KEY) != ALL_TIME,
        "Show all listeners": listener is not None,
    }
    with st.container(horizontal=True):
        for label in (label for label, is_offered in offered.items() if is_offered):
            st.button(label, key=label, on_click=_set_filter, args=_LIFTED[label])


def show_unknown_listener(listener: str) -> None:
    """Says that there is no such listener, and offers to show all."""
    st.info(f"No plays of a listener named {escape_markdown(listener)}. Choose another one on the left.", icon=":material/person_search:")
    st.button("Show all listeners", on_click=_set_filter, args=_LIFTED["Show all listeners"])


def has_match(view: View) -> bool:
    """Whether any play matches the filters."""
    return view.ask(queries.has_plays, view.filters)


def _set_filter(key: str, value: object) -> None:
    st.session_state[key] = value
