import re
from uuid import UUID

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from soundlake.contract import EVENT_SCHEMA, HISTORY
from soundlake.contract.decode import decode_records
from soundlake.contract.encode import encode_events
from soundlake.contract.record import FIELD_BY_NAME, GENERATED_ID_PREFIX
from soundlake.generator import make_world
from soundlake.generator.model.fake_catalogue.tracks import make_fake_tracks


@pytest.fixture(scope="module")
def frame(small_events) -> pl.DataFrame:
    return pl.from_arrow(small_events)


def test_every_event_survives_encoding_and_decoding(small_events):
    values = pa.array(encode_events(small_events), pa.binary())
    sent_ms = small_events["produced_at"].combine_chunks().cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64())
    decoded = decode_records(HISTORY, values, sent_ms)
    assert len(decoded.rejected) == 0
    assert decoded.events.equals(small_events.combine_chunks())


def test_columns_are_those_of_the_contract(small_events):
    assert small_events.schema == EVENT_SCHEMA


def test_every_event_id_is_a_unique_uuid(frame):
    ids = frame["event_id"].to_list()
    assert len(set(ids)) == len(ids)
    assert all(str(UUID(event_id)) == event_id and UUID(event_id).version == 8 for event_id in ids[:500])


def test_enumerated_fields_have_only_their_values(frame):
    for name in ("event_type", "content_type", "played_at_basis", "source"):
        assert set(frame[name].drop_nulls()) <= set(FIELD_BY_NAME[name].values)


def test_generated_ids_cannot_be_spotify_ids(frame):
    for name in ("track_id", "artist_id", "album_id", "playlist_id"):
        ids = frame[name].drop_nulls().unique()
        assert ids.str.starts_with(GENERATED_ID_PREFIX).all()
        assert not any(re.fullmatch(r"[0-9A-Za-z]{22}", event_id) for event_id in ids)


def test_a_skip_refers_to_its_play_and_occurs_at_its_end(frame):
    plays = frame.filter(event_type="play").select(source_ref="event_id", end=pl.col("played_at") + pl.duration(milliseconds="ms_played"))
    skips = frame.filter(event_type="skip").join(plays, on="source_ref", how="left")
    assert skips.height > 50
    assert (skips["end"] == skips["played_at"]).all()


def test_there_is_one_skip_event_per_skipped_play(frame):
    assert frame.filter(event_type="skip").height == frame.filter(event_type="play", is_skipped=True).height


def test_no_play_is_longer_than_its_track(frame):
    assert frame.filter(event_type="play").select((pl.col("ms_played") <= pl.col("duration_ms")).all()).item()


def test_a_play_that_ends_with_trackdone_is_complete(frame):
    done = frame.filter(event_type="play", reason_end="trackdone")
    assert (done["ms_played"] == done["duration_ms"]).all()


def test_no_play_is_sent_before_its_end(frame):
    plays = frame.filter(event_type="play")
    assert plays.select((pl.col("produced_at") >= pl.col("played_at") + pl.duration(milliseconds="ms_played")).all()).item()


def test_offline_plays_are_sent_later(vary):
    world = make_world(vary(listeners=120))
    events = pl.from_arrow(pa.concat_tables(world.make_events(chunk) for chunk in world.list_chunks()))
    plays = events.filter(event_type="play").with_columns(wait=pl.col("produced_at") - pl.col("played_at"))
    assert plays.filter("is_offline").height > 20
    assert plays.filter("is_offline")["wait"].median() > plays.filter(~pl.col("is_offline"))["wait"].median() * 5


def test_the_start_reason_follows_the_end_reason_of_the_play_before(frame):
    plays = frame.filter(event_type="play").sort("user_id", "session_id", "played_at")
    before = plays.shift(1)
    follows = (plays["session_id"] == before["session_id"]) & (plays["reason_start"] == "trackdone")
    assert follows.sum() > 100
    assert set(before.filter(follows.fill_null(False))["reason_end"]) <= {"trackdone", "unknown"}


def test_listeners_like_only_tracks_they_do_not_skip(small_world):
    events = pl.from_arrow(pa.concat_tables(small_world.make_span(1_770_000_000_000, 1_772_000_000_000)))
    played = events.filter(event_type="play").select("session_id", "track_id", "is_skipped", "played_at")
    liked = events.filter(event_type="like", action="like").select("session_id", "track_id", at="played_at")
    assert liked.height > 5
    assert liked.join(played.filter(~pl.col("is_skipped")), on=["session_id", "track_id"], how="anti").height == 0


def test_names_use_several_scripts():
    music = make_fake_tracks(6_000, seed=1)
    names = "".join(music["artist_name"].to_pylist() + music["track_name"].to_pylist())
    assert all(any(sign in names for sign in script) for script in ("אבה", "اعب", "のいう", "नमर", "еоа", "🌙🔥✨"))


def test_popularity_has_a_heavy_tail(small_world):
    plays = np.sort(np.diff(small_world.catalogue.artist_popularity_cumsum))[::-1]
    assert plays[: len(plays) // 10].sum() > 0.3 * plays.sum()
