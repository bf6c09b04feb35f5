"""How much was heard, by whom and of what, against the period before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from soundlake.dashboard import queries
from soundlake.dashboard.charts import draw_amounts
from soundlake.dashboard.filters import find_previous_window
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
from soundlake.dashboard.query_results import Bucket, Summary, choose_grain
from soundlake.dashboard.ranked_list import ListEntry, show_ranked_list

_COLUMNS = 3
_BRIEF = 5


@dataclass(frozen=True)
class Figure:
    """One figure of the page: its words, its change against the period before, and its course."""

    label: str
    shown: Callable[[Summary], str]
    change: Callable[[Summary, Summary], str | None]
    course: Callable[[Bucket], float | None]
    meaning: str | None = None


_FIGURES = (
    Figure(
        "Plays",
        lambda now: format_count(now.plays),
        lambda now, before: format_change(now.plays, before.plays),
        lambda bucket: bucket.plays,
        meaning="Tracks heard for at least 30 seconds, or to the end if they are shorter.",
    ),
    Figure(
        "Listening time",
        lambda now: format_duration(now.heard_ms),
        lambda now, before: format_change(now.heard_ms, before.heard_ms),
        lambda bucket: bucket.heard_ms,
        meaning="Time heard in these plays; where the source does not say, the length of the track.",
    ),
    Figure(
        "Unique tracks",
        lambda now: format_count(now.tracks),
        lambda now, before: format_change(now.tracks, before.tracks),
        lambda bucket: bucket.tracks,
    ),
    Figure(
        "Unique artists",
        lambda now: format_count(now.artists),
        lambda now, before: format_change(now.artists, before.artists),
        lambda bucket: bucket.artists,
    ),
)
_LISTENERS = Figure(
    "Active listeners",
    lambda now: format_count(now.listeners),
    lambda now, before: format_change(now.listeners, before.listeners),
    lambda bucket: bucket.listeners,
    meaning="Listeners with at least one play.",
)
_DAYS = Figure(
    "Days with music",
    lambda now: format_count(now.days),
    lambda now, before: format_change(now.days, before.days),
    lambda bucket: bucket.plays,
    meaning="Days with at least one play.",
)
_SKIPS = Figure(
    "Skip rate",
    lambda now: format_share(now.skip_rate),
    lambda now, before: format_points(now.skip_rate, before.skip_rate),
    lambda bucket: bucket.skip_rate,
    meaning="Skipped plays among all that were started and of which the source says whether they were skipped.",
)


def render(view: View) -> None:
    """Draws the page."""
    grain = choose_grain(view.filters.window.days)
    buckets = view.ask(queries.list_buckets, view.filters, grain)
    _show_figures(view, buckets)
    st.subheader(f"Plays by {grain}", anchor=False)
    st.altair_chart(draw_amounts(buckets, lambda bucket: bucket.plays, "Plays", lambda bucket: format_count(bucket.plays), view.palette))
    artists, devices = st.columns(2, gap="large")
    with artists:
        st.subheader("Top artists by plays", anchor=False)
        show_ranked_list(list_entries(view.ask(queries.rank_content, view.filters, "artist", "plays", _BRIEF), "plays"), "Top artists")
    with devices:
        st.subheader("Plays by device", anchor=False)
        _show_devices(view)


def _show_figures(view: View, buckets: tuple[Bucket, ...]) -> None:
    window = find_previous_window(view.filters.window, view.extent)
    now = view.ask(queries.summarize, view.filters)
    before = view.ask(queries.summarize, view.filters.move_to(window)) if window else None
    figures = (*_FIGURES, _DAYS if view.filters.listener else _LISTENERS, _SKIPS)
    with st.container(key="figures"):
        for start in range(0, len(figures), _COLUMNS):
            for column, figure in zip(st.columns(_COLUMNS), figures[start : start + _COLUMNS], strict=True):
                with column:
                    _show_figure(figure, now, before, buckets)
    if window:
        st.caption(f"Changes are against the {view.filters.window.days} days before: {format_days(window.first_day, window.last_day)}.")
    else:
        st.caption("Nothing to compare with: the data does not reach back over an equally long period before this one.")


def _show_figure(figure: Figure, now: Summary, before: Summary | None, buckets: tuple[Bucket, ...]) -> None:
    change = figure.change(now, before) if before else None
    is_still = change is not None and not change.strip("+-0. %points")
    st.metric(
        figure.label,
        figure.shown(now),
        "no change" if is_still else change,
        delta_color="off" if is_still else "primary",
        delta_arrow="off" if is_still else "auto",
        help=figure.meaning,
        border=True,
        height="stretch",
        chart_data=[figure.course(bucket) or 0 for bucket in buckets],
        chart_type="area",
    )


def _show_devices(view: View) -> None:
    uses = view.ask(queries.summarize_devices, view.filters)
    plays = sum(use.plays for use in uses)
    entries = [
        ListEntry(
            format_device(use.device),
            use.plays / plays if plays else 0,
            format_count(use.plays),
            format_share(use.plays / plays if plays else 0),
        )
        for use in uses
    ]
    show_ranked_list(entries, "Plays by device", numbered=False)


PAGE = Page(order=10, title="Overview", path="overview", icon=":material/dashboard:", render=render)
