"""Metrics of the collectors of Spotify: the accounts, sampled at each scrape, and the legs of a new song.

No metric names an account: Prometheus keeps what it was given, beyond the reach of an erasure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from soundlake.spotify.poller.song_times import LEGS
from soundlake.spotify.refusals import Reason

if TYPE_CHECKING:
    from soundlake.spotify.status import SpotifyStatus

SONG_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 300.0)
WAIT_REASONS = (*(reason.value for reason in Reason), "sign_in", "refused_token")


class SpotifyMetrics(Collector):
    """Metrics of all connected accounts; `read_status` is called at each scrape."""

    def __init__(self, registry: CollectorRegistry, read_status: Callable[[], SpotifyStatus]) -> None:
        self._read_status = read_status
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the state of the accounts, for the registry."""
        status = self._read_status()
        yield from (_count_waits(status), _count_silent(status), _count_gaps(status), *_measure_calls(status))
        days = GaugeMetricFamily("soundlake_spotify_sign_in_days", "Days until the first account has to sign in again; 0 if one has to now")
        if status.accounts:
            days.add_metric([], min(one.days_until_sign_in for one in status.accounts))
        yield days
        waiting = sum(one.unpublished_events for one in status.accounts)
        yield GaugeMetricFamily("soundlake_spotify_unpublished_events", "Events that wait for the event log", waiting)


class SongMetrics:
    """Metrics of the changes of the song."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "soundlake_spotify_song_seconds",
            "Time of each leg of a new song: seen after its start, then kept, published, shown, observed",
            ["leg"],
            buckets=SONG_SECONDS,
            registry=registry,
        )
        for leg in LEGS:
            self._seconds.labels(leg)

    def record_song(self, seconds: Mapping[str, float]) -> None:
        """Record the legs of one song; a negative one (two clocks that differ) counts as zero."""
        for leg, taken in seconds.items():
            self._seconds.labels(leg).observe(max(0.0, taken))


def _count_waits(status: SpotifyStatus) -> Metric:
    family = GaugeMetricFamily("soundlake_spotify_waiting_accounts", "Accounts that are not asked now, by reason", labels=["reason"])
    reasons = [one.wait.reason for one in status.accounts if one.wait is not None]
    for reason in WAIT_REASONS:
        family.add_metric([reason], reasons.count(reason))
    return family


def _count_silent(status: SpotifyStatus) -> Metric:
    name, text = "soundlake_spotify_silent_accounts", "Accounts of which nothing was collected for longer than usual, by what is missing"
    family = GaugeMetricFamily(name, text, labels=["missing"])
    family.add_metric(["history"], sum(one.history_silent_since is not None for one in status.accounts))
    family.add_metric(["live"], sum(one.live_silent_since is not None for one in status.accounts))
    family.add_metric(["plays"], sum(one.quiet_since is not None for one in status.accounts))
    return family


def _count_gaps(status: SpotifyStatus) -> Metric:
    family = GaugeMetricFamily("soundlake_spotify_gaps", "Recorded gaps, in which plays may be missing", labels=["kind"])
    family.add_metric(["history"], sum(len(one.gaps) for one in status.accounts))
    family.add_metric(["live"], sum(len(one.live_gaps) for one in status.accounts))
    return family


def _measure_calls(status: SpotifyStatus) -> Iterator[Metric]:
    """Of the app that has used most of its budget; a home has one."""
    calls = GaugeMetricFamily("soundlake_spotify_calls", "Calls of the app in the last 30 seconds and 24 hours", labels=["window"])
    limits = GaugeMetricFamily("soundlake_spotify_call_limit", "The most calls that the budget allows", labels=["window"])
    if status.apps:
        app = max(status.apps, key=lambda one: one.calls_in_day / one.day_limit)
        for window, made, limit in (("30s", app.calls_in_window, app.window_limit), ("day", app.calls_in_day, app.day_limit)):
            calls.add_metric([window], made)
            limits.add_metric([window], limit)
    yield from (calls, limits)
