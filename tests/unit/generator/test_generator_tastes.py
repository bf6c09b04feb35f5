import polars as pl
import pyarrow as pa
import pytest

from soundlake.errors import UsageError
from soundlake.generator import generate_neighbours, make_world
from soundlake.generator.model.preferences import list_preferences


@pytest.fixture(scope="module")
def plays_and_preferences():
    from dataclasses import replace

    from tests.unit.generator.conftest import SMALL

    world = make_world(replace(SMALL, listeners=60, days=20, tracks=3_000))
    events = pl.from_arrow(pa.concat_tables(world.make_events(chunk) for chunk in world.list_chunks()))
    return events.filter(event_type="play"), pl.from_arrow(pa.concat_tables(list_preferences(world)))


def test_listeners_play_what_they_prefer(plays_and_preferences):
    plays, preferences = plays_and_preferences
    heard = plays.select("user_id", "track_id").unique()
    theirs = heard.join(preferences, on=["user_id", "track_id"]).height
    others = heard.join(preferences.with_columns(user_id=pl.col("user_id").reverse()), on=["user_id", "track_id"]).height
    assert theirs > 3 * others > 0


def test_preferences_are_probabilities_in_descending_order(plays_and_preferences):
    _, preferences = plays_and_preferences
    sums = preferences.group_by("user_id").agg(pl.col("preference").sum())
    assert sums["preference"].max() <= 1 + 1e-9
    ordered = preferences.sort("user_id", "rank")
    assert ordered.select((pl.col("preference").diff().over("user_id").fill_null(-1) <= 0).all()).item()


def test_preferred_tracks_are_skipped_less(plays_and_preferences):
    plays, preferences = plays_and_preferences
    fits = plays.join(preferences.filter(pl.col("rank") <= 50), on=["user_id", "track_id"], how="semi")
    rest = plays.join(preferences, on=["user_id", "track_id"], how="anti")
    assert fits["is_skipped"].mean() < rest["is_skipped"].mean()


@pytest.fixture
def own_tracks() -> pa.Table:
    return pa.table(
        {
            "track_id": [f"{number:022d}" for number in range(200)] + [None],
            "track_name": [f"Song {number}" for number in range(201)],
            "artist_name": [f"Artist {number % 40}" for number in range(201)],
            "plays": [number % 7 + 1 for number in range(201)],
        }
    )


def test_neighbours_share_the_persons_music_and_know_more(vary, own_tracks):
    events = pa.concat_tables(generate_neighbours(vary(listeners=40), own_tracks))
    ids = set(events["track_id"].drop_null().to_pylist())
    own = ids & set(own_tracks["track_id"].drop_null().to_pylist())
    assert len(own) > 100
    assert all(identity.startswith("sl_") for identity in ids - own)
    assert set(events["source"].to_pylist()) == {"generator"}
    assert all(user.startswith("neighbour-") for user in events["user_id"].unique().to_pylist())


def test_a_person_without_tracks_has_no_neighbours(vary, own_tracks):
    with pytest.raises(UsageError, match="--alone"):
        list(generate_neighbours(vary(), own_tracks.slice(200)))
