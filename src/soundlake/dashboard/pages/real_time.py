"""What is happening now: the last minutes of plays, skips and likes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import streamlit as st

from soundlake.cache.live_metrics import TOP_MINUTES, LiveMetrics, LiveWindow
from soundlake.dashboard.charts import draw_live
from soundlake.dashboard.figure_cards import SparkBar, show_figure_card
from soundlake.dashboard.formatting import format_change, format_count, format_device, format_share
from soundlake.dashboard.live_reader import READ_SECONDS, LiveReader
from soundlake.dashboard.page import Page, View
from soundlake.dashboard.process_state import get_live_reader
from soundlake.dashboard.ranked_list import ListEntry, show_ranked_list
from soundlake.dashboard.theme import Palette
from soundlake.errors import SoundlakeError
from soundlake.settings import load_settings

_MOST_COUNTRIES = 8
_FIGURES: tuple[tuple[str, Callable[[LiveWindow], int], str], ...] = (
    (
        "Active listeners",
        lambda minute: minute.listeners,
        "Listeners with at least one event in that minute: a play that ended, a skip, a like.",
    ),
    ("Plays", lambda minute: minute.plays, "Plays that ended in that minute, played for at least 30 seconds or to the end."),
    ("Started", lambda minute: minute.started, "All plays that ended in that minute, however short."),
    ("Skips", lambda minute: minute.skips, "Skip events of that minute."),
    ("Likes", lambda minute: minute.likes, "Likes and unlikes of that minute."),
)


def render(view: View) -> None:
    """Draws the page."""
    render_early(view.palette)


def render_early(palette: Palette) -> None:
    """Draws all of it: nothing on this page comes from the snapshot."""
    _show_live(get_live_reader(load_settings()), palette)


@st.fragment(run_every=READ_SECONDS)
def _show_live(reader: LiveReader, palette: Palette) -> None:
    try:
        metrics = reader.get_latest()
    except SoundlakeError as error:
        st.info(f"No live metrics yet.\n\n{error}", icon=":material/hourglass_empty:")
        return
    if not any(minute.listeners for minute in metrics.minutes):
        st.info(
            f"No events in the last {len(metrics.minutes)} minutes. `soundlake generate --live` or `make demo` creates live events.",
            icon=":material/hourglass_empty:",
        )
    _show_figures(metrics)
    st.subheader("Plays in ten-second steps", anchor=False)
    st.altair_chart(draw_live(metrics.short, palette))
    tracks, devices, countries = st.columns((2, 1, 1), gap="large")
    with tracks:
        st.subheader(f"Top tracks of the last {TOP_MINUTES} minutes", anchor=False)
        _show_tracks(metrics)
    with devices:
        st.subheader("By device", anchor=False)
        _show_shares(metrics, lambda minute: minute.devices, format_device)
    with countries:
        st.subheader("By country", anchor=False)
        _show_shares(metrics, lambda minute: minute.countries, lambda code: code if code.isupper() else code.capitalize())
    st.caption(
        f"Read at {metrics.read_at:%H:%M:%S} UTC, every {READ_SECONDS:g} seconds while a page is open. Late events update their minute."
    )


def _show_figures(metrics: LiveMetrics) -> None:
    """The last complete minute, compared with the one before."""
    before, minute = metrics.minutes[-3], metrics.minutes[-2]
    with st.container(key="live_figures"):
        for column, (label, measure, meaning) in zip(st.columns(len(_FIGURES)), _FIGURES, strict=True):
            with column:
                change = format_change(measure(minute), measure(before))
                show_figure_card(label, format_count(measure(minute)), change, list_spark_bars(metrics, label, measure), meaning=meaning)
    st.caption(f"The minute from {minute.begins_at:%H:%M} UTC, compared with the minute before.")


def list_spark_bars(metrics: LiveMetrics, label: str, measure: Callable[[LiveWindow], int]) -> list[SparkBar]:
    """The complete minutes of a figure, oldest first."""
    return [
        SparkBar(measure(minute), f"{minute.begins_at:%H:%M} UTC: {format_count(measure(minute))} {label.lower()}")
        for minute in metrics.minutes[:-1]
    ]


def _show_tracks(metrics: LiveMetrics) -> None:
    most = max((track.plays for track in metrics.top_tracks), default=1)
    entries = [
        ListEntry(track.track_name or track.track_id, track.plays / most, format_count(track.plays), by=track.artist_name)
        for track in metrics.top_tracks
    ]
    if entries:
        show_ranked_list(entries, "Top tracks")
    else:
        st.caption("No plays in these minutes.")


def _show_shares(metrics: LiveMetrics, pick: Callable[[LiveWindow], Mapping[str, int]], name: Callable[[str], str]) -> None:
    counts = _sum_counts(map(pick, metrics.minutes[-TOP_MINUTES:]))
    total = sum(counts.values()) or 1
    most = sorted(counts.items(), key=lambda share: (-share[1], share[0]))[:_MOST_COUNTRIES]
    entries = [ListEntry(name(key), plays / total, format_count(plays), format_share(plays / total)) for key, plays in most]
    if entries:
        show_ranked_list(entries, "Plays", numbered=False)
    else:
        st.caption("No plays in these minutes.")


def _sum_counts(minutes: Iterable[Mapping[str, int]]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for minute in minutes:
        totals.update(minute)
    return totals


PAGE = Page(
    order=50, title="Real-time", path="real-time", icon=":material/bolt:", render=render, has_period=False, render_early=render_early
)
