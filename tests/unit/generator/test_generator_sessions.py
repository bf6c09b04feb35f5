from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from soundlake.generator import make_world
from soundlake.generator.model import places
from soundlake.generator.model.listeners import make_listeners
from soundlake.generator.model.sessions import DAY_MS, plan_sessions

EPOCH = date(1970, 1, 1)


@pytest.mark.parametrize("place", range(len(places.PLACES)), ids=[zone for _, zone, _ in places.PLACES])
@pytest.mark.parametrize("first", [date(2026, 3, 7), date(2026, 3, 27), date(2026, 10, 23), date(2026, 4, 3)])
def test_offsets_are_those_of_the_zone_across_daylight_saving(place, first):
    offsets = places.list_utc_offsets((first - EPOCH).days, 4)[place]
    zone = ZoneInfo(places.PLACES[place][1])
    for hour in range(96):
        wall = datetime.combine(first, time()) + timedelta(hours=hour)
        utc = (wall - timedelta(seconds=int(offsets[hour]))).replace(tzinfo=UTC)
        back = utc.astimezone(zone).replace(tzinfo=None)
        assert back == wall or zone.utcoffset(wall) != zone.utcoffset(wall + timedelta(hours=1)) or back - wall == timedelta(hours=1)


@pytest.fixture(scope="module")
def month(vary) -> pl.DataFrame:
    world = make_world(vary(listeners=60, days=28, start=date(2026, 2, 2)))
    return pl.from_arrow(pa.concat_tables(world.make_events(chunk) for chunk in world.list_chunks()))


@pytest.fixture(scope="module")
def vary():
    from dataclasses import replace

    from tests.unit.generator.conftest import SMALL

    return lambda **changes: replace(SMALL, **changes)


def test_sessions_of_a_listener_overlap_on_shared_accounts_only(month):
    plays = month.filter(event_type="play")
    sessions = plays.group_by("user_id", "session_id").agg(
        start=pl.col("played_at").min(), end=(pl.col("played_at") + pl.duration(milliseconds="ms_played")).max()
    )
    sessions = sessions.sort("user_id", "start").with_columns(next=pl.col("start").shift(-1).over("user_id"))
    overlapping = sessions.filter(pl.col("end") > pl.col("next") + pl.duration(seconds=2))
    assert overlapping.height < 0.06 * sessions.height


def test_nights_have_fewer_plays_than_evenings_in_local_time(month):
    zones = dict(zip(places.COUNTRIES, (zone for _, zone, _ in places.PLACES), strict=True))
    plays = month.filter((pl.col("event_type") == "play") & ~pl.col("country").is_in(["US"]))
    hours = np.concatenate(
        [part["played_at"].dt.convert_time_zone(zones[country]).dt.hour().to_numpy() for (country,), part in plays.group_by("country")]
    )
    per_hour = np.bincount(hours, minlength=24)
    assert per_hour[18:22].mean() > 2 * per_hour[4:6].mean()


def test_sessions_begin_within_the_requested_span(small_world):
    listeners = make_listeners(small_world.catalogue, 5, np.arange(30))
    first = (date(2026, 3, 28) - EPOCH).days * DAY_MS
    sessions = plan_sessions(listeners, first, first + DAY_MS, (first, first + DAY_MS))
    assert len(sessions.key) > 10
    assert ((sessions.start_ms >= first) & (sessions.start_ms < first + DAY_MS)).all()
    assert (sessions.latest_ms > sessions.start_ms).all()


def test_listeners_have_no_sessions_before_they_join_and_after_they_leave(small_world):
    listeners = make_listeners(small_world.catalogue, 5, np.arange(400))
    first = (date(2026, 3, 1) - EPOCH).days * DAY_MS
    sessions = plan_sessions(listeners, first, first + 20 * DAY_MS, (first, first + 20 * DAY_MS))
    when = (sessions.start_ms - first) / (20 * DAY_MS)
    assert (when >= listeners.join_share[sessions.listener]).all()
    assert (when < listeners.leave_share[sessions.listener]).all()
    assert np.isfinite(listeners.join_share).sum() > 5
