"""What happens this minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import streamlit as st

from soundlake.cache.live_metrics import TOP_MINUTES, LiveMetrics, LiveWindow
from soundlake.dashboard.charts import draw_live
from soundlake.dashboard.formatting import format_change, format_count, format_device, format_share
from soundlake.dashboard.live_source import LiveSource, open_live_source
from soundlake.dashboard.page import Page, View
from soundlake.dashboard.ranked_list import ListEntry, show_ranked_list
from soundlake.dashboard.theme import Palette
from soundlake.errors import SoundlakeError
from soundlake.settings import Settings, load_settings

REFRESH_SECONDS = 3
_MOST_COUNTRIES = 8
_FIGURES: tuple[tuple[str, Callable[[LiveWindow], int], str], ...] = (
    (
        "Active listeners",
        lambda minute: minute.listeners,
        "Listeners of whom anything happened in that minute: a play ended, a skip, a like.",
    ),
    ("Plays", lambda minute: minute.plays, "Plays that ended in that minute and count: heard for at least 30 seconds, or to the end."),
    ("Started", lambda minute: minute.started, "All plays that ended in that minute, however short."),
    ("Skips", lambda minute: minute.skips, "Skips in that minute, each as an act of its own."),
    ("Likes", lambda minute: minute.likes, "Likes and unlikes in that minute."),
)


def render(view: View) -> None:
    """Draws the page."""
    render_early(view.palette)


def render_early(palette: Palette) -> None:
    """Draws all of it: nothing on this page comes from the snapshot."""
    _show_live(_open_source(load_settings()), palette)


@st.cache_resource(show_spinner=False, hash_funcs={Settings: lambda settings: settings.model_dump_json()})
def _open_source(settings: Settings) -> LiveSource:
    return open_live_source(settings)


@st.fragment(run_every=REFRESH_SECONDS)
def _show_live(source: LiveSource, palette: Palette) -> None:
    try:
        metrics = source.read(datetime.now(UTC))
    except SoundlakeError as error:
        st.info(f"Nothing is known of this minute yet.\n\n{error}", icon=":material/hourglass_empty:")
        return
    _show_figures(metrics)
    st.subheader("Plays, every ten seconds", anchor=False)
    st.altair_chart(draw_live(metrics.short, palette))
    tracks, devices, countries = st.columns((2, 1, 1), gap="large")
    with tracks:
        st.subheader(f"Top tracks of {TOP_MINUTES} minutes", anchor=False)
        _show_tracks(metrics)
    with devices:
        st.subheader("By device", anchor=False)
        _show_shares(metrics, lambda minute: minute.devices, format_device)
    with countries:
        st.subheader("By country", anchor=False)
        _show_shares(metrics, lambda minute: minute.countries, lambda code: code if code.isupper() else code.capitalize())
    st.caption(f"Read at {metrics.read_at:%H:%M:%S} UTC, every {REFRESH_SECONDS} seconds. What is told late corrects its minute.")


def _show_figures(metrics: LiveMetrics) -> None:
    """The last minute that is over, against the one before."""
    before, minute = metrics.minutes[-3], metrics.minutes[-2]
    for column, (label, measure, meaning) in zip(st.columns(len(_FIGURES)), _FIGURES, strict=True):
        course = [measure(window) for window in metrics.minutes[:-1]]
        column.metric(
            label,
            format_count(measure(minute)),
            format_change(measure(minute), measure(before)),
            help=meaning,
            border=True,
            height="stretch",
            delta_color="primary",
            chart_data=course,
            chart_type="area",
        )
    st.caption(f"The minute from {minute.begins_at:%H:%M} UTC, against the one before.")


def _show_tracks(metrics: LiveMetrics) -> None:
    most = max((track.plays for track in metrics.top_tracks), default=1)
    entries = [
        ListEntry(track.track_name or track.track_id, track.plays / most, format_count(track.plays), by=track.artist_name)
        for track in metrics.top_tracks
    ]
    if entries:
        show_ranked_list(entries, "Top tracks")
    else:
        st.caption("Nothing was played in these minutes.")


def _show_shares(metrics: LiveMetrics, pick: Callable[[LiveWindow], Mapping[str, int]], name: Callable[[str], str]) -> None:
    counts = _add_up(map(pick, metrics.minutes[-TOP_MINUTES:]))
    total = sum(counts.values()) or 1
    most = sorted(counts.items(), key=lambda share: (-share[1], share[0]))[:_MOST_COUNTRIES]
    entries = [ListEntry(name(key), plays / total, format_count(plays), format_share(plays / total)) for key, plays in most]
    show_ranked_list(entries, "Plays", numbered=False)


def _add_up(minutes: Iterable[Mapping[str, int]]) -> Counter[str]:
    together: Counter[str] = Counter()
    for minute in minutes:
        together.update(minute)
    return together


PAGE = Page(
    order=50, title="Real-time", path="real-time", icon=":material/bolt:", render=render, has_period=False, render_early=render_early
)
