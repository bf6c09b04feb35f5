"""Renders the pages as a first visitor would see them, to compute their answers and load their libraries before anyone visits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from soundlake.dashboard.empty_states import has_match
from soundlake.dashboard.filters import DEFAULT_PERIOD, Filters, resolve_window
from soundlake.dashboard.page import Page, View
from soundlake.dashboard.pages import discover_pages
from soundlake.dashboard.sidebar import load_options
from soundlake.dashboard.snapshot_reader import SnapshotReader
from soundlake.dashboard.theme import LIGHT

# Streamlit draws into nothing outside a session ("bare mode") and warns about it once a call
_BARE_MODE_LOGGERS = ("streamlit", "streamlit.runtime.scriptrunner_utils.script_run_context", "streamlit.runtime.state.session_state_proxy")

logger = logging.getLogger(__name__)


def render_default_views(reader: SnapshotReader) -> None:
    """Render every page that reads the snapshot with its default filters. Raises duckdb.Error if the snapshot has other tables.

    An error in one page is logged. It happens in a thread of its own: in a visitor's thread Streamlit would draw into that visitor's page.
    """
    begun = time.monotonic()
    with ThreadPoolExecutor(1, thread_name_prefix="default views") as executor:
        executor.submit(_render, reader).result()
    seconds = time.monotonic() - begun
    logger.info("prepared snapshot %s: %d answers in %.1f s", reader.snapshot_id, reader.questions_answered, seconds)


def _render(reader: SnapshotReader) -> None:
    with _suppress_bare_mode_warnings():
        view = open_default_view(reader)
        if view is not None and has_match(view):
            for page in discover_pages():
                _render_page(page, view)


def _render_page(page: Page, view: View) -> None:
    if page.render_early is None:
        try:
            page.render(view)
        except Exception:  # a page that fails must not keep the others from their visitors
            logger.exception("the default view of %s failed", page.path)


def open_default_view(reader: SnapshotReader) -> View | None:
    """A view without filters; None without plays."""
    options = load_options(reader)
    if options.extent is None:
        return None
    filters = Filters(resolve_window(DEFAULT_PERIOD, (), options.extent))
    return View(reader=reader, filters=filters, extent=options.extent, listeners=options.listeners, palette=LIGHT)


@contextmanager
def _suppress_bare_mode_warnings() -> Iterator[None]:
    thread = threading.get_ident()

    def is_other_thread(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in _BARE_MODE_LOGGERS]
    for each in loggers:
        each.addFilter(is_other_thread)
    try:
        yield
    finally:
        for each in loggers:
            each.removeFilter(is_other_thread)
