"""Plays over time, by hour and weekday, the skip rate, and the device mix."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from soundlake.dashboard import filter_options, queries
from soundlake.dashboard.charts import WEEKDAYS, draw_amounts, draw_device_mix, draw_rate, draw_week
from soundlake.dashboard.filters import Grain, choose_grain, find_complete_hours
from soundlake.dashboard.formatting import format_count, format_device, format_duration, format_mean, format_share
from soundlake.dashboard.page import Page, View
from soundlake.dashboard.query_results import Bucket, DeviceUsage
from soundlake.dashboard.ranked_list import ListEntry, show_ranked_list
from soundlake.dashboard.theme import assign_colours

_AUTOMATIC = "Auto"
_GRAINS: dict[str, Grain] = {"Day": "day", "Week": "week", "Month": "month"}
_HOUR_MS = 3_600_000
_MEASURES: dict[str, tuple[Callable[[Bucket], float], Callable[[Bucket], str]]] = {
    "Plays": (lambda bucket: bucket.plays, lambda bucket: format_count(bucket.plays)),
    "Listening hours": (lambda bucket: bucket.heard_ms / _HOUR_MS, lambda bucket: format_duration(bucket.heard_ms)),
    "Unique tracks": (lambda bucket: bucket.tracks, lambda bucket: format_count(bucket.tracks)),
    "Active listeners": (lambda bucket: bucket.listeners, lambda bucket: format_count(bucket.listeners)),
}


def render(view: View) -> None:
    """Draws the page."""
    title, grain = _choose_chart(view)
    measure, show = _MEASURES[title]
    buckets = view.ask(queries.list_buckets, view.filters, grain)
    st.subheader(f"{title} by {grain}", anchor=False)
    chart = draw_amounts(buckets, measure, title, show, view.palette, is_complete=lambda bucket: view.is_complete(bucket, grain))
    st.altair_chart(chart)
    _show_week(view)
    skips, devices = st.columns(2, gap="large")
    with skips:
        _show_skips(view, buckets, grain)
    with devices:
        _show_devices(view, grain)


def _choose_chart(view: View) -> tuple[str, Grain]:
    with st.container(horizontal=True, gap="large"):
        title = st.segmented_control(
            "Measure", list(_MEASURES), default="Plays", required=True, key="measure", bind="query-params", wrap=True
        )
        grain = st.segmented_control("By", [_AUTOMATIC, *_GRAINS], default=_AUTOMATIC, required=True, key="grain", bind="query-params")
    return title, _GRAINS.get(grain) or choose_grain(view.filters.window.days)


def _show_week(view: View) -> None:
    st.subheader("Plays by hour and weekday", anchor=False)
    window = find_complete_hours(view.filters.window, view.extent, view.reader.built_at)
    hours = view.ask(queries.average_week, view.filters.move_to(window))
    if not any(hour.plays for hour in hours):
        st.caption("No plays of at least 30 seconds in a complete hour.")
        return
    st.altair_chart(draw_week(hours, view.palette))
    busiest = max(hours, key=lambda hour: hour.mean_plays or 0)
    st.caption(
        "The mean of each hour over the weeks of the period. Busiest: "
        f"{WEEKDAYS[busiest.weekday - 1]} {busiest.hour:02}:00–{busiest.hour:02}:59 UTC, {format_mean(busiest.mean_plays)} plays."
    )


def _show_skips(view: View, buckets: tuple[Bucket, ...], grain: Grain) -> None:
    st.subheader(f"Skip rate by {grain}", anchor=False)
    usages = view.ask(queries.summarize_devices, view.filters)
    if all(usage.skip_rate is None for usage in usages):
        st.caption("The sources of these plays do not report whether they were skipped.")
        return
    st.altair_chart(draw_rate(buckets, lambda bucket: bucket.skip_rate, "Skip rate", view.palette))
    st.markdown("**Skip rate by device**")
    show_ranked_list(list_skip_rates(usages), "Skip rate by device", numbered=False)


def list_skip_rates(usages: Sequence[DeviceUsage]) -> list[ListEntry]:
    """The device types in the order of their skip rates; one without a known rate is last and has no bar."""
    known_first = sorted(usages, key=lambda usage: (usage.skip_rate is None, -(usage.skip_rate or 0), usage.device))
    return [
        ListEntry(format_device(usage.device), usage.skip_rate, format_share(usage.skip_rate), f"of {format_count(usage.started)} started")
        for usage in known_first
    ]


def _show_devices(view: View, grain: Grain) -> None:
    st.subheader(f"Device mix by {grain}", anchor=False)
    colours = assign_colours(view.ask(filter_options.list_devices), view.palette)
    buckets = view.ask(queries.list_device_buckets, view.filters, grain)
    st.altair_chart(draw_device_mix(buckets, view.filters.window, colours))
    usages = view.ask(queries.summarize_devices, view.filters)
    started = sum(usage.started for usage in usages) or 1
    entries = [
        ListEntry(
            format_device(usage.device),
            usage.started / started,
            format_share(usage.started / started),
            f"{format_count(usage.started)} started",
            colour=colours[usage.device],
        )
        for usage in usages
    ]
    st.markdown("**Plays started by device**")
    show_ranked_list(entries, "Plays started by device", numbered=False)


PAGE = Page(order=30, title="Trends", path="trends", icon=":material/trending_up:", render=render)
