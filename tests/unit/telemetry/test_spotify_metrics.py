"""Metrics of the connected accounts: what waits, what is silent, and no name of an account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from soundlake.spotify.budget import AppUse
from soundlake.spotify.collection import Gap
from soundlake.spotify.status import AccountStatus, SpotifyStatus, Wait
from soundlake.telemetry import Telemetry

NOW = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)


def make_account(name="anna", **changes):
    fields = {
        "account": f"acc-{name}", "listener": name, "display_name": name, "is_connected": True, "scopes": (), "token_age_seconds": 0,
        "sign_in_due_at": NOW, "days_until_sign_in": 100, "sign_in_warning": None, "wait": None, "last_history_at": NOW,
        "history_failure": None, "plays": 1, "gaps": (), "last_poll_at": NOW, "live_failed_since": None, "live_failure": None,
        "live_gaps": (), "unpublished_events": 0, "history_silent_since": None, "live_silent_since": None, "quiet_since": None,
        "followed_by": None,
    }  # fmt: skip
    return AccountStatus(**fields | changes)


def make_spotify_status(now):
    """Two accounts, of which one waits, is silent and has gaps."""
    wait = Wait("developer", "", "quota", now, now + timedelta(hours=20))
    gap = Gap(now - timedelta(hours=2), now - timedelta(hours=1), now)
    ill = {
        "wait": wait,
        "live_silent_since": now,
        "gaps": (gap,),
        "live_gaps": (gap, gap),
        "unpublished_events": 3,
        "days_until_sign_in": 5,
    }
    app = AppUse("app", calls_in_window=2, window_limit=6, calls_in_day=700, live_calls_in_day=600, live_limit=850, day_limit=1_000)
    return SpotifyStatus((make_account(), make_account("ben", **ill)), (app,), ())


@pytest.fixture
def scrape():
    telemetry = Telemetry("test")
    telemetry.watch_spotify(lambda: make_spotify_status(NOW))
    telemetry.watch_songs().record_song({"seen": 3.0, "kept": -0.001})
    return lambda name, **labels: telemetry.registry.get_sample_value(f"soundlake_spotify_{name}", labels)


def test_waits_silence_gaps_and_calls_are_counted(scrape):
    assert [scrape("waiting_accounts", reason=reason) for reason in ("quota", "rate", "sign_in")] == [1, 0, 0]
    assert [scrape("silent_accounts", missing=missing) for missing in ("live", "history", "plays")] == [1, 0, 0]
    assert [scrape("gaps", kind=kind) for kind in ("history", "live")] == [1, 2]
    assert (scrape("calls", window="day"), scrape("call_limit", window="day"), scrape("calls", window="30s")) == (700, 1_000, 2)
    assert (scrape("sign_in_days"), scrape("unpublished_events")) == (5, 3)


def test_each_leg_of_a_song_is_measured(scrape):
    assert [scrape("song_seconds_bucket", leg="seen", le=bound) for bound in ("2.0", "5.0")] == [0, 1]
    assert (scrape("song_seconds_sum", leg="kept"), scrape("song_seconds_count", leg="published")) == (0, 0)


def test_no_metric_names_an_account():
    telemetry = Telemetry("test")
    telemetry.watch_spotify(lambda: make_spotify_status(NOW))
    values = {value for family in telemetry.registry.collect() for sample in family.samples for value in sample.labels.values()}
    assert not [value for value in values if "anna" in value or "ben" in value]


def test_without_an_account_nothing_is_due():
    telemetry = Telemetry("test")
    telemetry.watch_spotify(lambda: SpotifyStatus((), (), ()))
    assert telemetry.registry.get_sample_value("soundlake_spotify_sign_in_days") is None
    assert telemetry.registry.get_sample_value("soundlake_spotify_unpublished_events") == 0
