"""The script that Streamlit runs for every visit and every change; `soundlake serve dashboard` starts it."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import duckdb
import streamlit as st

from soundlake.dashboard import filter_options
from soundlake.dashboard.empty_states import has_match, show_no_match, show_unknown_listener
from soundlake.dashboard.filters import Filters
from soundlake.dashboard.formatting import escape_markdown, format_days, format_device
from soundlake.dashboard.page import Page, View
from soundlake.dashboard.page_metrics import record_page
from soundlake.dashboard.pages import discover_pages
from soundlake.dashboard.process_state import get_snapshot_follower
from soundlake.dashboard.sidebar import LISTENER_KEY, choose_view
from soundlake.dashboard.snapshot_follower import SnapshotFollower
from soundlake.dashboard.snapshot_reader import SnapshotReader
from soundlake.dashboard.snapshot_status import announce_snapshot, show_snapshot_status, wait_for_snapshot
from soundlake.dashboard.stylesheet import apply_style
from soundlake.dashboard.theme import choose_palette
from soundlake.errors import SoundlakeError
from soundlake.settings import load_settings

_ASSETS = Path(__file__).parents[1] / "assets"
_ABOUT = "**Soundlake** shows the newest published snapshot of the warehouse. All days and hours are UTC."

logger = logging.getLogger(__name__)


def _show_data(page: Page, follower: SnapshotFollower, reader: SnapshotReader) -> None:
    whole = reader.ask(filter_options.find_extent, None)
    if whole is None and page.render_early:
        page.render_early(choose_palette(st.context.theme.type))
    elif whole is None:
        st.info("The snapshot holds no plays yet. This page shows them as soon as there are some.", icon=":material/hourglass_empty:")
    elif view := choose_view(reader, page, whole):
        _show_view(page, view)
    else:
        show_unknown_listener(st.session_state[LISTENER_KEY])
    with st.sidebar:
        show_snapshot_status(follower, reader, whole, st.context.theme.type)


def _show_view(page: Page, view: View) -> None:
    if page.has_period:
        st.caption(_describe(view.filters))
    if page.has_period and not has_match(view):
        show_no_match(view)
    else:
        page.render(view)


def _describe(filters: Filters) -> str:
    listener = escape_markdown(filters.listener) if filters.listener else "All listeners"
    devices = ", ".join(format_device(device) for device in filters.devices) or "all devices"
    return f"{listener} · {format_days(filters.window.first_day, filters.window.last_day)} · {devices}"


def show_page(page: Page) -> None:
    """Draws one page on the newest snapshot; an error that a user can fix is shown there without a traceback."""
    st.title(page.title, anchor=False)
    try:
        follower = get_snapshot_follower(load_settings())
        reader = follower.get_reader()
        with record_page(page.path, reader):
            if reader is not None:
                _show_data(page, follower, reader)
            elif page.render_early:
                page.render_early(choose_palette(st.context.theme.type))
                announce_snapshot(follower)
            else:
                wait_for_snapshot(follower)
    except SoundlakeError as error:
        st.error(str(error), icon=":material/error:")
    except duckdb.Error:
        logger.exception("a question to the snapshot failed")
        st.error(
            "The snapshot does not answer as expected: it was built by another version, or its file is damaged.\n\n"
            "→ build it again with `soundlake transform`; the server's log has the details",
            icon=":material/error:",
        )


def main() -> None:
    """Draws the page of the address."""
    st.set_page_config(page_title="Soundlake", page_icon=str(_ASSETS / "icon.svg"), layout="wide", menu_items={"About": _ABOUT})
    st.logo(str(_ASSETS / "logo.svg"), size="large", icon_image=str(_ASSETS / "icon.svg"))
    apply_style()
    pages = discover_pages()
    entries = [
        st.Page(partial(show_page, page), title=page.title, icon=page.icon, url_path=page.path, default=page is pages[0]) for page in pages
    ]
    st.navigation(entries).run()


if __name__ == "__main__":
    main()
