from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from tests.unit.generator.conftest import SMALL

from soundlake.generator import make_world
from soundlake.generator.model.library import measure_drift
from soundlake.generator.model.listeners import make_cohort
from soundlake.generator.model.playback import simulate_playback
from soundlake.generator.model.preferences import compute_preferences
from soundlake.generator.model.sessions import DAY_MS, plan_sessions
from soundlake.generator.model.track_selection import build_queue

SEASON = replace(SMALL, listeners=150, days=50, tracks=2_000)
FIRST_DAY = (SEASON.start - date(1970, 1, 1)).days


@pytest.fixture(scope="module")
def world():
    return make_world(SEASON)


@pytest.fixture(scope="module")
def season(world) -> pl.DataFrame:
    return pl.from_arrow(pa.concat_tables(world.make_events(chunk) for chunk in world.list_chunks()))


@pytest.fixture(scope="module")
def plays(season) -> pl.DataFrame:
    return season.filter(event_type="play").with_columns(end=pl.col("played_at") + pl.duration(milliseconds="ms_played"))


@pytest.fixture(scope="module")
def playlist_activity() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tracks added and removed, and tracks played from playlists, by playlist id: few listeners, many days."""
    world = make_world(replace(SEASON, listeners=60, days=240))
    events = pl.from_arrow(pa.concat_tables(world.make_events(chunk) for chunk in world.list_chunks()))
    interactions = events.filter(event_type="playlist").select("action", "track_id", list="playlist_id", at="played_at")
    from_lists = events.filter(pl.col("context_uri").str.starts_with("sl:playlist:"))
    number = pl.col("context_uri").str.extract(r"(\d+)$").cast(pl.Int64)
    name = pl.format("sl_playlist_{}_{}", (number // 10_000).cast(pl.String).str.zfill(6), number % 10_000)
    return interactions, from_lists.select("track_id", list=name, heard_at="played_at")


@pytest.fixture(scope="module")
def best_ten(world):
    cohort = make_cohort(world.catalogue, SEASON.seed, np.arange(60))

    def rank(day) -> list[set[int]]:
        return [set(row.tolist()) for row in np.argsort(-compute_preferences(cohort, day), axis=1)[:, :10]]

    return rank


def test_tastes_drift_slowly(best_ten):
    today, next_month, years_later = best_ten(FIRST_DAY), best_ten(FIRST_DAY + 30), best_ten(FIRST_DAY + 1_500)
    kept_a_month = np.mean([len(now & then) / 10 for now, then in zip(today, next_month, strict=True)])
    kept_for_years = np.mean([len(now & then) / 10 for now, then in zip(today, years_later, strict=True)])
    assert kept_for_years < 0.85 < kept_a_month < 1


def test_a_taste_turns_around_at_the_ends_of_its_path(world):
    listeners = make_cohort(world.catalogue, SEASON.seed, np.arange(5)).listeners
    drift = np.stack([measure_drift(listeners, np.arange(5), day) for day in range(0, 9_000, 10)])
    assert drift.min() < 0.02
    assert drift.max() > 0.98
    assert np.abs(np.diff(drift, axis=0)).max() <= 10 / 700


def test_skips_come_in_bursts(plays):
    ordered = plays.sort("user_id", "session_id", "played_at").with_columns(
        after_skip=pl.col("is_skipped").shift(1).over("user_id", "session_id")
    )
    share = dict(ordered.drop_nulls("after_skip").group_by("after_skip").agg(pl.col("is_skipped").mean()).iter_rows())
    assert share[True] > 2 * share[False]


def test_skips_are_earlier_in_familiar_tracks(world):
    cohort = make_cohort(world.catalogue, SEASON.seed, np.arange(150))
    first = FIRST_DAY * DAY_MS
    sessions = plan_sessions(cohort.listeners, first, first + 30 * DAY_MS, (first, first + 30 * DAY_MS))
    queue = build_queue(cohort, sessions)
    playback = simulate_playback(cohort, sessions, queue)
    familiarity, at_once = queue.familiarity[playback.kept][playback.is_skipped], playback.played_ms[playback.is_skipped] < 2_000
    assert at_once[familiarity > 0.7].mean() > 1.2 * at_once[familiarity < 0.2].mean()


def test_a_new_album_is_played_most_after_its_release(world):
    first_album = world.catalogue.album_first_of_artist
    newest = (first_album[1:] - 1)[np.diff(first_album) > 1]
    days = world.catalogue.album_release_day.copy()
    days[newest] = FIRST_DAY + 10
    catalogue = replace(world.catalogue, album_release_day=days)
    events = pa.concat_tables(replace(world, catalogue=catalogue).make_span(FIRST_DAY * DAY_MS, (FIRST_DAY + 40) * DAY_MS))
    albums = pl.DataFrame({"album_id": catalogue.album_id.take(pa.array(newest))})
    plays = pl.from_arrow(events).filter(pl.col("context_uri").str.starts_with("sl:album:")).join(albums, on="album_id", how="semi")
    age = plays["played_at"].dt.epoch("d") - FIRST_DAY - 10
    assert ((age >= 0) & (age < 7)).sum() > 1.5 * ((age >= 15) & (age < 22)).sum() > 0


def test_a_session_is_private_as_a_whole(plays):
    sessions = plays.group_by("session_id").agg(pl.col("is_private").n_unique().alias("kinds"), pl.col("is_private").first())
    assert sessions["kinds"].max() == 1
    assert 0 < sessions["is_private"].mean() < 0.05


def test_overlapping_sessions_use_different_devices(plays):
    sessions = plays.group_by("user_id", "session_id").agg(
        start=pl.col("played_at").min(), end=pl.col("end").max(), device=pl.concat_str("device_type", "platform").first()
    )
    ordered = sessions.sort("user_id", "start").with_columns(
        next_start=pl.col("start").shift(-1).over("user_id"), next_device=pl.col("device").shift(-1).over("user_id")
    )
    at_once = ordered.filter(pl.col("end") > pl.col("next_start") + pl.duration(seconds=30))
    assert at_once.height > 5
    assert (at_once["device"] != at_once["next_device"]).all()


def test_a_playlist_is_created_once_and_before_tracks_are_added(season):
    interactions = season.filter(event_type="playlist").group_by("playlist_id")
    made = interactions.agg(
        times=(pl.col("action") == "create").sum(),
        made_at=pl.col("played_at").filter(pl.col("action") == "create").min(),
        added_at=pl.col("played_at").filter(pl.col("action") == "add").min(),
    ).filter(pl.col("times") > 0)
    assert made.height > 20
    assert made["times"].max() == 1
    assert made.drop_nulls("added_at").select((pl.col("added_at") >= pl.col("made_at")).all()).item()


def test_a_track_is_removed_while_its_playlist_is_played(season, plays):
    removed = season.filter(action="remove")
    from_lists = plays.filter(pl.col("context_uri").str.starts_with("sl:playlist:"))
    assert removed.height > 5
    assert removed.join(from_lists, on=["session_id", "track_id"], how="anti").height == 0


def test_added_tracks_are_played_from_the_playlist_and_removed_tracks_are_not(playlist_activity):
    interactions, heard = playlist_activity
    added, removed = (interactions.filter(action=action).join(heard, on=["list", "track_id"]) for action in ("add", "remove"))
    assert added.filter(pl.col("heard_at") > pl.col("at")).select("list", "track_id").unique().height > 20
    assert removed.filter(pl.col("heard_at") < pl.col("at")).select("list", "track_id").unique().height > 20
    after = removed.filter(pl.col("heard_at") > pl.col("at"))
    again = after.join(interactions.filter(action="add").select("list", "track_id", again="at"), on=["list", "track_id"])
    again = again.filter((pl.col("again") > pl.col("at")) & (pl.col("again") <= pl.col("heard_at")))
    assert after.join(again, on=["list", "track_id", "heard_at"], how="anti").height == 0


def test_a_track_is_played_when_it_is_added_and_skipped_when_it_is_removed(season, plays):
    interactions = season.filter(pl.col("action").is_in(["add", "remove"])).select("session_id", "track_id", "action", at="played_at")
    met = interactions.join(plays, on=["session_id", "track_id"]).filter(
        (pl.col("played_at") <= pl.col("at")) & (pl.col("at") <= pl.col("end"))
    )
    assert met.select("session_id", "track_id", "action").unique().height == interactions.unique().height
    assert dict(met.group_by("action").agg(pl.col("is_skipped").mean()).iter_rows()) == {"add": 0.0, "remove": 1.0}


def test_some_likes_are_followed_by_unlikes(season):
    actions = dict(season.filter(event_type="like")["action"].value_counts().iter_rows())
    assert actions["like"] > actions["unlike"] > 0


def test_offline_devices_deliver_hours_or_days_later(season):
    plays = season.filter("is_offline", event_type="play")
    sessions = plays.group_by("session_id").agg(wait=(pl.col("produced_at").max() - pl.col("played_at").min()).dt.total_hours())
    assert sessions.height > 20
    assert 1 <= sessions["wait"].median() <= 24
    assert 24 <= sessions["wait"].max() <= 96
