"""How much was played, by how many listeners, compared with the period before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from soundlake.dashboard import queries
from soundlake.dashboard.charts import draw_amounts
from soundlake.dashboard.figure_cards import SparkBar, show_figure_card
from soundlake.dashboard.filters import Grain, choose_grain, find_previous_window
from soundlake.dashboard.formatting import (
    format_change,
    format_count,
    format_days,
    format_device,
    format_duration,
    format_points,
    format_share,
)
from soundlake.dashboard.page import Page, View
from soundlake.dashboard.pages.top_content import list_entries
from soundlake.dashboard.query_results import Bucket, DeviceUsage, Summary
from soundlake.dashboard.ranked_list import ListEntry, show_ranked_list

_ARTISTS_SHOWN = 5


@dataclass(frozen=True)
class Figure:
    """One figure of the page: its text, its change from the period before, and its value in a bucket, as number and as text."""

    label: str
    shown: Callable[[Summary], str]
    change: Callable[[Summary, Summary], str | None]
    measure: Callable[[Bucket], float | None]
    format_bucket: Callable[[Bucket], str]
    meaning: str | None = None


_FIGURES = (
    Figure(
        "Plays",
        lambda now: format_count(now.plays),
        lambda now, before: format_change(now.plays, before.plays),
        lambda bucket: bucket.plays,
        lambda bucket: _count(bucket.plays, "play"),
        meaning="Tracks played for at least 30 seconds, or to the end if they are shorter.",
    ),
    Figure(
        "Listening time",
        lambda now: format_duration(now.heard_ms),
        lambda now, before: format_change(now.heard_ms, before.heard_ms),
        lambda bucket: bucket.heard_ms,
        lambda bucket: format_duration(bucket.heard_ms),
        meaning="The time played; where the source does not report it, the length of the track.",
    ),
    Figure(
        "Unique tracks",
        lambda now: format_count(now.tracks),
        lambda now, before: format_change(now.tracks, before.tracks),
        lambda bucket: bucket.tracks,
        lambda bucket: _count(bucket.tracks, "track"),
    ),
    Figure(
        "Unique artists",
        lambda now: format_count(now.artists),
        lambda now, before: format_change(now.artists, before.artists),
        lambda bucket: bucket.artists,
        lambda bucket: _count(bucket.artists, "artist"),
    ),
)
_LISTENERS = Figure(
    "Active listeners",
    lambda now: format_count(now.listeners),
    lambda now, before: format_change(now.listeners, before.listeners),
    lambda bucket: bucket.listeners,
    lambda bucket: _count(bucket.listeners, "listener"),
    meaning="Listeners with at least one play.",
)
_DAYS = Figure(
    "Days with music",
    lambda now: format_count(now.days),
    lambda now, before: format_change(now.days, before.days),
    lambda bucket: bucket.plays,
    lambda bucket: _count(bucket.plays, "play"),
    meaning="Days with at least one play.",
)
_SKIPS = Figure(
    "Skip rate",
    lambda now: format_share(now.skip_rate),
    lambda now, before: format_points(now.skip_rate, before.skip_rate),
    lambda bucket: bucket.skip_rate,
    lambda bucket: "unknown" if bucket.skip_rate is None else f"{format_share(bucket.skip_rate)} skipped",
    meaning="The share of skipped plays, among all started plays of which the source reports whether they were skipped.",
)


def render(view: View) -> None:
    """Draws the page."""
    grain = choose_grain(view.filters.window.days)
    buckets = view.ask(queries.list_buckets, view.filters, grain)
    _show_figures(view, buckets, grain)
    st.subheader(f"Plays by {grain}", anchor=False)
    chart = draw_amounts(
        buckets,
        lambda bucket: bucket.plays,
        "Plays",
        lambda bucket: format_count(bucket.plays),
        view.palette,
        is_complete=lambda bucket: view.is_complete(bucket, grain),
    )
    st.altair_chart(chart)
    artists, devices = st.columns(2, gap="large")
    with artists:
        st.subheader("Top artists by plays", anchor=False)
        ranked = view.ask(queries.rank_content, view.filters, "artist", "plays", _ARTISTS_SHOWN)
        show_ranked_list(list_entries(ranked, "plays"), "Top artists")
    with devices:
        st.subheader("Plays by device", anchor=False)
        show_ranked_list(list_devices_by_plays(view.ask(queries.summarize_devices, view.filters)), "Plays by device", numbered=False)


def _show_figures(view: View, buckets: tuple[Bucket, ...], grain: Grain) -> None:
    window = find_previous_window(view.filters.window, view.extent)
    now = view.ask(queries.summarize, view.filters)
    before = view.ask(queries.summarize, view.filters.move_to(window)) if window else None
    figures = (*_FIGURES, _DAYS if view.filters.listener else _LISTENERS, _SKIPS)
    with st.container(key="figures"):
        for column, figure in zip(st.columns(len(figures)), figures, strict=True):  # the stylesheet wraps them, three or two in a row
            with column:
                change = figure.change(now, before) if before else None
                bars = list_spark_bars(view, figure, buckets, grain)
                show_figure_card(figure.label, figure.shown(now), change, bars, meaning=figure.meaning)
    if window:
        st.caption(f"Changes are from the {view.filters.window.days} days before: {format_days(window.first_day, window.last_day)}.")
    else:
        st.caption("No changes are shown: the data does not cover a period of the same length before this one.")


def list_spark_bars(view: View, figure: Figure, buckets: Sequence[Bucket], grain: Grain) -> list[SparkBar]:
    """The complete buckets of a figure, oldest first; a bucket without data is a gap."""
    complete = [bucket for bucket in buckets if view.is_complete(bucket, grain)]
    return [
        SparkBar(
            figure.measure(bucket) if view.has_data(bucket) else None,
            f"{format_days(bucket.first, bucket.last)}: {figure.format_bucket(bucket) if view.has_data(bucket) else 'no data'}",
        )
        for bucket in complete
    ]


def list_devices_by_plays(usages: Sequence[DeviceUsage]) -> list[ListEntry]:
    """The device types in the order of the number that is shown."""
    total = sum(usage.plays for usage in usages) or 1
    return [
        ListEntry(format_device(usage.device), usage.plays / total, format_count(usage.plays), format_share(usage.plays / total))
        for usage in sorted(usages, key=lambda usage: (-usage.plays, usage.device))
    ]


def _count(number: int, noun: str) -> str:
    return f"{format_count(number)} {noun}{'' if number == 1 else 's'}"


PAGE = Page(order=10, title="Overview", path="overview", icon=":material/dashboard:", render=render)
