"""When and how people listen: over time, by hour and weekday, what they skip, and on which devices."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from soundlake.dashboard import filter_options, queries
from soundlake.dashboard.charts import WEEKDAYS, draw_amounts, draw_device_mix, draw_rate, draw_week
from soundlake.dashboard.formatting import format_count, format_device, format_duration, format_share
from soundlake.dashboard.page import Page, View
from soundlake.dashboard.query_results import Bucket, Grain, choose_grain
from soundlake.dashboard.ranked_list import ListEntry, show_ranked_list
from soundlake.dashboard.theme import assign_colours

_AUTOMATIC = "Auto"
_GRAINS: dict[str, Grain] = {"Day": "day", "Week": "week", "Month": "month"}
_HOUR_MS = 3_600_000
Course = tuple[Callable[[Bucket], float], Callable[[Bucket], str]]
_MEASURES: dict[str, Course] = {
    "Plays": (lambda bucket: bucket.plays, lambda bucket: format_count(bucket.plays)),
    "Hours heard": (lambda bucket: bucket.heard_ms / _HOUR_MS, lambda bucket: format_duration(bucket.heard_ms)),
    "Unique tracks": (lambda bucket: bucket.tracks, lambda bucket: format_count(bucket.tracks)),
    "Active listeners": (lambda bucket: bucket.listeners, lambda bucket: format_count(bucket.listeners)),
}


def render(view: View) -> None:
    """Draws the page."""
    title, grain = _choose_course(view)
    measure, show = _MEASURES[title]
    buckets = view.ask(queries.list_buckets, view.filters, grain)
    st.subheader(f"{title} by {grain}", anchor=False)
    st.altair_chart(draw_amounts(buckets, measure, title, show, view.palette))
    _show_week(view)
    skips, devices = st.columns(2, gap="large")
    with skips:
        _show_skips(view, buckets, grain)
    with devices:
        _show_devices(view, grain)


def _choose_course(view: View) -> tuple[str, Grain]:
    with st.container(horizontal=True, gap="large"):
        title = st.segmented_control(
            "Measure", list(_MEASURES), default="Plays", required=True, key="measure", bind="query-params", wrap=True
        )
        grain = st.segmented_control("By", [_AUTOMATIC, *_GRAINS], default=_AUTOMATIC, required=True, key="grain", bind="query-params")
    return title, _GRAINS.get(grain) or choose_grain(view.filters.window.days)


def _show_week(view: View) -> None:
    st.subheader("Hour and weekday", anchor=False)
    hours = view.ask(queries.average_week, view.filters)
    st.altair_chart(draw_week(hours, view.palette))
    busiest = max(hours, key=lambda hour: hour.plays)
    if busiest.plays:
        st.caption(
            f"Most plays: {WEEKDAYS[busiest.weekday - 1]} {busiest.hour:02}:00–{busiest.hour:02}:59 UTC, {format_count(busiest.plays)}."
        )


def _show_skips(view: View, buckets: tuple[Bucket, ...], grain: Grain) -> None:
    st.subheader(f"Skip rate by {grain}", anchor=False)
    uses = view.ask(queries.summarize_devices, view.filters)
    if all(use.skip_rate is None for use in uses):
        st.caption("The sources of these plays do not say whether they were skipped.")
        return
    st.altair_chart(draw_rate(buckets, lambda bucket: bucket.skip_rate, "Skip rate", view.palette))
    entries = [
        ListEntry(format_device(use.device), use.skip_rate or 0, format_share(use.skip_rate), f"of {format_count(use.started)} started")
        for use in uses
    ]
    st.markdown("**Skip rate by device**")
    show_ranked_list(entries, "Skip rate by device", numbered=False)


def _show_devices(view: View, grain: Grain) -> None:
    st.subheader(f"Device mix by {grain}", anchor=False)
    colours = assign_colours(view.ask(filter_options.list_devices), view.palette)
    st.altair_chart(draw_device_mix(view.ask(queries.list_device_buckets, view.filters, grain), colours))
    uses = view.ask(queries.summarize_devices, view.filters)
    started = sum(use.started for use in uses) or 1
    entries = [
        ListEntry(
            format_device(use.device),
            use.started / started,
            format_share(use.started / started),
            f"{format_count(use.started)} started",
            colour=colours[use.device],
        )
        for use in uses
    ]
    st.markdown("**Plays started by device**")
    show_ranked_list(entries, "Plays started by device", numbered=False)


PAGE = Page(order=30, title="Trends", path="trends", icon=":material/trending_up:", render=render)
