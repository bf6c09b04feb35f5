"""The filters beside every page; each is kept in the address, so that a copied link shows the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import streamlit as st

from soundlake.dashboard import filter_options
from soundlake.dashboard.filters import CUSTOM_PERIOD, DEFAULT_PERIOD, PERIODS, Extent, Filters, resolve_window
from soundlake.dashboard.formatting import format_count, format_device
from soundlake.dashboard.page import Page, View
from soundlake.dashboard.snapshot_reader import SnapshotReader
from soundlake.dashboard.theme import choose_palette

LISTENER_KEY, PERIOD_KEY, DEVICES_KEY = "listener", "period", "device"
_LISTENERS_OFFERED = 500


@dataclass(frozen=True)
class FilterOptions:
    """The options of a snapshot; `extent` is of all listeners, None without plays."""

    extent: Extent | None
    listeners: tuple[str, ...]
    listener_count: int
    devices: tuple[str, ...]


def load_options(reader: SnapshotReader) -> FilterOptions:
    """The options of the filters in this snapshot."""
    return FilterOptions(
        reader.ask(filter_options.find_extent, None),
        reader.ask(filter_options.list_listeners, _LISTENERS_OFFERED),
        reader.ask(filter_options.count_listeners),
        reader.ask(filter_options.list_devices),
    )


def choose_view(reader: SnapshotReader, page: Page, whole: Extent) -> View | None:
    """Draws the filters and reads them; None where the chosen listener has no plays."""
    options = load_options(reader)
    with st.sidebar:
        listener = _choose_listener(options)
        period = _choose_period(page)
        days = _choose_days(page, whole) if period == CUSTOM_PERIOD else ()
        devices = _choose_devices(options, page)
    own = reader.ask(filter_options.find_extent, listener)
    if own is None:
        return None
    extent = Extent(own.first, whole.last)
    return View(
        reader=reader,
        filters=Filters(resolve_window(period, days, extent), listener, devices),
        extent=extent,
        listeners=options.listeners,
        palette=choose_palette(st.context.theme.type),
    )


def _choose_listener(options: FilterOptions) -> str | None:
    count, listed = options.listener_count, len(options.listeners)
    more = f" The {listed} most active are listed; type the name of any other." if count > listed else ""
    chosen: str | None = st.selectbox(
        "Listener",
        options.listeners,
        index=None,
        placeholder=f"All {format_count(count)} listeners" if count > 1 else "The only listener",
        key=LISTENER_KEY,
        bind="query-params",
        accept_new_options=True,
        filter_mode="contains",
        help=f"Whose plays are counted.{more}",
    )
    return chosen or None


def _choose_period(page: Page) -> str:
    chosen: str = st.selectbox(
        "Period",
        PERIODS,
        index=PERIODS.index(DEFAULT_PERIOD),
        key=PERIOD_KEY,
        bind="query-params",
        disabled=not page.has_period,
        help="Whole days in UTC. A period ends on the newest day of the data, for every listener.",
    )
    return chosen


def _choose_days(page: Page, whole: Extent) -> tuple[date, ...]:
    first, last = whole.first.date(), whole.last.date()
    chosen: tuple[date, ...] = st.date_input(
        "From – to",
        value=(first, last),
        min_value=first,
        max_value=last,
        key="dates",
        bind="query-params",
        format="YYYY-MM-DD",
        disabled=not page.has_period,
    )
    return tuple(chosen)


def _choose_devices(options: FilterOptions, page: Page) -> tuple[str, ...]:
    chosen: list[str] = st.multiselect(
        "Devices",
        options.devices,
        format_func=format_device,
        key=DEVICES_KEY,
        bind="query-params",
        placeholder="All devices",
        disabled=not page.has_period,
    )
    return tuple(sorted(chosen))
