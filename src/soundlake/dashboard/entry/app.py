"""The script that Streamlit runs for every visit and every change; `soundlake serve dashboard` starts it."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import duckdb
import streamlit as st

from soundlake.dashboard import filter_options
from soundlake.dashboard.filters import Filters
from soundlake.dashboard.formatting import escape_markdown, format_days, format_device
from soundlake.dashboard.page import Page
from soundlake.dashboard.page_metrics import drawing
from soundlake.dashboard.pages import discover_pages
from soundlake.dashboard.sidebar import choose_view
from soundlake.dashboard.snapshot_reader import SnapshotFollower, SnapshotReader
from soundlake.dashboard.snapshot_status import expect_snapshot, wait_for_snapshot, watch_snapshots
from soundlake.dashboard.stylesheet import apply_style
from soundlake.dashboard.theme import choose_palette
from soundlake.errors import SettingsError, SoundlakeError
from soundlake.settings import load_settings
from soundlake.warehouse.snapshot import open_snapshot, read_current_id

_ASSETS = Path(__file__).parents[1] / "assets"
_ABOUT = "**Soundlake** shows the newest published snapshot of the warehouse. All days and hours are UTC."

logger = logging.getLogger(__name__)


def _find_folder() -> Path:
    address = load_settings().warehouse_address
    if address.path is None:
        raise SettingsError(
            f"SOUNDLAKE_WAREHOUSE={address.scheme}://…: the dashboard reads snapshots of a duckdb:// warehouse only",
            next_step="leave it empty for the embedded warehouse",
        )
    return address.path


@st.cache_resource(show_spinner=False)
def _follow_snapshots(folder: Path) -> SnapshotFollower:
    return SnapshotFollower(folder, open_snapshot, read_current_id)


def _show_data(page: Page, readers: SnapshotFollower, reader: SnapshotReader) -> None:
    whole = reader.ask(filter_options.find_extent, None)
    if whole is None and page.render_early:
        page.render_early(choose_palette(st.context.theme.type))
    elif whole is None:
        st.info("The snapshot holds no plays yet. They appear here by themselves once there are some.", icon=":material/hourglass_empty:")
    elif view := choose_view(reader, page, whole):
        if page.has_period:
            st.caption(_describe(view.filters))
        page.render(view)
    else:
        st.info("Nothing is known of this listener. Choose another one on the left.", icon=":material/person_search:")
    with st.sidebar:
        watch_snapshots(readers, reader, whole, st.context.theme.type)


def _describe(filters: Filters) -> str:
    listener = escape_markdown(filters.listener) if filters.listener else "All listeners"
    devices = ", ".join(format_device(device) for device in filters.devices) or "all devices"
    return f"{listener} · {format_days(filters.window.first_day, filters.window.last_day)} · {devices}"


def show_page(page: Page) -> None:
    """Draws one page on the newest snapshot; what a user can mend is said there, without a traceback."""
    st.title(page.title, anchor=False)
    try:
        readers = _follow_snapshots(_find_folder())
        reader = readers.open_newest()
        with drawing(page.path, reader):
            if reader is not None:
                _show_data(page, readers, reader)
            elif page.render_early:
                page.render_early(choose_palette(st.context.theme.type))
                expect_snapshot(readers)
            else:
                wait_for_snapshot(readers)
    except SoundlakeError as error:
        st.error(str(error), icon=":material/error:")
    except duckdb.Error:
        logger.exception("a question to the snapshot failed")
        st.error(
            "The snapshot does not answer as expected: it was built by another version, or its file is damaged.\n\n"
            "→ build it anew with `soundlake transform`; the server's output has the details",
            icon=":material/error:",
        )


def main() -> None:
    """Draws the page that the address names."""
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
