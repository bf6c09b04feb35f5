"""Answers of the queries, compared with the same answers computed in another way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from duckdb import DuckDBPyConnection

from soundlake.dashboard import filter_options, queries
from soundlake.dashboard.filters import Filters, Grain, Window
from soundlake.dashboard.query_results import Measure

WINDOW = Window(datetime(2026, 1, 14, tzinfo=UTC), datetime(2026, 2, 11, tzinfo=UTC))
CHOICES = {
    "all": Filters(WINDOW),
    "one listener": Filters(WINDOW, listener="listener_00001"),
    "some devices": Filters(WINDOW, devices=("mobile", "unknown")),
    "both": Filters(WINDOW, listener="listener_00000", devices=("desktop",)),
    "nothing": Filters(WINDOW, listener="nobody"),
}


@pytest.fixture(params=CHOICES.values(), ids=CHOICES)
def filters(request: pytest.FixtureRequest) -> Filters:
    return request.param


@pytest.fixture
def snapshot(cursor: DuckDBPyConnection) -> DuckDBPyConnection:
    cursor.execute("use snapshot")
    return cursor


@pytest.fixture
def rows(snapshot: DuckDBPyConnection, filters: Filters) -> list[dict[str, object]]:
    """The plays that the filters leave, chosen row by row in Python."""
    cursor = snapshot.execute("from silver.silver_plays")
    names = [column[0] for column in cursor.description]
    plays = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [
        play
        for play in plays
        if filters.window.since <= play["played_at"] < filters.window.until
        and filters.listener in (None, play["user_id"])
        and (not filters.devices or (play["device_type"] or "unknown") in filters.devices)
    ]


def test_the_summary_counts_the_listens(snapshot: DuckDBPyConnection, filters: Filters, rows: list[dict]) -> None:
    listens = [play for play in rows if play["is_listen"]]
    known = [play["is_skipped"] for play in rows if play["is_skipped"] is not None]
    summary = queries.summarize(snapshot, filters)
    assert summary.plays == len(listens)
    assert summary.heard_ms == sum(play["heard_ms"] for play in listens)
    assert summary.tracks == len({play["track_id"] for play in listens})
    assert summary.artists == len({play["artist_name"] for play in listens})
    assert summary.listeners == len({play["user_id"] for play in listens})
    assert summary.days == len({play["played_at"].date() for play in listens})
    assert summary.started == len(rows)
    assert summary.skip_rate == (pytest.approx(sum(known) / len(known)) if known else None)


@pytest.mark.parametrize("grain", ["day", "week", "month"])
def test_the_buckets_cover_the_window_without_gaps_and_add_up(
    snapshot: DuckDBPyConnection, filters: Filters, rows: list[dict], grain: Grain
) -> None:
    buckets = queries.list_buckets(snapshot, filters, grain)
    assert buckets[0].first == WINDOW.first_day
    assert buckets[-1].last == WINDOW.last_day
    assert all(after.first - before.last == timedelta(days=1) for before, after in pairwise(buckets))
    assert sum(bucket.plays for bucket in buckets) == sum(play["is_listen"] for play in rows)
    for bucket in buckets:
        inside = [play for play in rows if play["is_listen"] and bucket.first <= play["played_at"].date() <= bucket.last]
        assert bucket.plays == len(inside)
        assert bucket.tracks == len({play["track_id"] for play in inside})


def test_weeks_begin_on_monday(snapshot: DuckDBPyConnection) -> None:
    buckets = queries.list_buckets(snapshot, CHOICES["all"], "week")
    assert {bucket.first.isoweekday() for bucket in buckets[1:]} == {1}


@pytest.mark.parametrize("measure", ["plays", "time"])
def test_the_ranking_is_in_order_and_its_shares_are_of_everything(
    snapshot: DuckDBPyConnection, filters: Filters, rows: list[dict], measure: Measure
) -> None:
    listens = [play for play in rows if play["is_listen"]]
    whole = len(listens) if measure == "plays" else sum(play["heard_ms"] for play in listens)
    ranked = queries.rank_content(snapshot, filters, "track", measure, 10)
    amounts = [item.plays if measure == "plays" else item.heard_ms for item in ranked]
    assert amounts == sorted(amounts, reverse=True)
    assert [item.share for item in ranked] == pytest.approx([amount / whole for amount in amounts])
    for item in ranked:
        assert item.plays == sum(play["track_id"] == item.track_id for play in listens)


def test_every_hour_of_the_week_has_its_plays_and_its_occurrences(snapshot: DuckDBPyConnection, filters: Filters, rows: list[dict]) -> None:
    hours = queries.average_week(snapshot, filters)
    assert [(hour.weekday, hour.hour) for hour in hours] == [(weekday, hour) for weekday in range(1, 8) for hour in range(24)]
    for hour in hours:
        assert hour.occurrences == WINDOW.days / 7
        assert hour.plays == sum(
            play["is_listen"] and (play["played_at"].isoweekday(), play["played_at"].hour) == (hour.weekday, hour.hour) for play in rows
        )


def test_the_week_is_a_mean_where_weekdays_occur_unequally_often(snapshot: DuckDBPyConnection) -> None:
    snapshot.execute("attach ':memory:' as even; create schema even.silver")
    snapshot.execute(
        """
        create table even.silver.silver_plays as
        select plays.* replace (begin + interval 10 minute as played_at, true as is_listen)
        from (select * from silver.silver_plays limit 1) as plays,
            unnest(range(timestamptz '2026-01-05 00:00:00+00', timestamptz '2026-01-14 12:00:00+00', interval 1 hour)) as hours(begin)
        """
    )
    snapshot.execute("use even")
    hours = queries.average_week(snapshot, Filters(Window(datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 14, 12, tzinfo=UTC))))
    assert {(hour.weekday, hour.hour): hour.occurrences for hour in hours if hour.occurrences == 2} == {
        (weekday, hour): 2 for weekday, last in ((1, 24), (2, 24), (3, 12)) for hour in range(last)
    }
    assert {hour.mean_plays for hour in hours} == {1.0}


def test_an_hour_outside_the_window_has_no_mean(snapshot: DuckDBPyConnection) -> None:
    monday = Window(datetime(2026, 1, 19, tzinfo=UTC), datetime(2026, 1, 20, tzinfo=UTC))
    hours = queries.average_week(snapshot, Filters(monday))
    assert {hour.weekday for hour in hours if hour.mean_plays is not None} == {1}


@pytest.mark.parametrize(("name", "expected"), [("all", True), ("one listener", True), ("nothing", False)])
def test_a_match_is_any_started_track(snapshot: DuckDBPyConnection, name: str, expected: bool) -> None:
    assert queries.has_plays(snapshot, CHOICES[name]) is expected


def test_devices_add_up_over_time_and_in_all(snapshot: DuckDBPyConnection, filters: Filters, rows: list[dict]) -> None:
    started = {use.device: use.started for use in queries.summarize_devices(snapshot, filters)}
    over_time: dict[str, int] = {}
    for bucket in queries.list_device_buckets(snapshot, filters, "week"):
        over_time[bucket.device] = over_time.get(bucket.device, 0) + bucket.started
    assert started == over_time
    assert sum(started.values()) == len(rows)


def test_spoken_content_is_left_out(snapshot: DuckDBPyConnection) -> None:
    snapshot.execute("attach ':memory:' as other; create schema other.silver")
    snapshot.execute("create table other.silver.silver_plays as select * replace ('episode' as content_type) from silver.silver_plays")
    snapshot.execute("use other")
    assert queries.summarize(snapshot, CHOICES["all"]).started == 0


def test_listeners_come_with_the_busiest_first(snapshot: DuckDBPyConnection) -> None:
    counts = dict(snapshot.execute("select user_id, count(*) from silver.silver_plays where is_listen group by all").fetchall())
    listeners = filter_options.list_listeners(snapshot, 4)
    assert listeners == tuple(sorted(counts, key=lambda name: (-counts[name], name))[:4])
    assert filter_options.count_listeners(snapshot) == len(counts)


def test_recommendations_come_in_their_order(snapshot: DuckDBPyConnection) -> None:
    recommendations = queries.list_recommendations(snapshot, "listener_00001")
    assert [item.rank for item in recommendations] == list(range(1, 11))
    assert recommendations[0].score == 5.0
    assert queries.list_recommendations(snapshot, "nobody") == ()
