"""Each page as a visitor sees it: the figures, the filters, and what is said when there is nothing to show."""

from __future__ import annotations

import html
import re
from pathlib import Path

import duckdb
import pytest
from streamlit.testing.v1 import AppTest
from tests.unit.dashboard.conftest import Visit
from tests.unit.dashboard.snapshot_builder import EMOJI_TITLE, LONG_TITLE, RTL_TITLE, publish_snapshot

from soundlake import wiring
from soundlake.dashboard.pages import discover_pages
from soundlake.settings import Settings

PATHS = [page.path for page in discover_pages()]
OF_THE_SNAPSHOT = [path for path in PATHS if path != "real-time"]


def read_metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def read_lists(app: AppTest) -> list[str]:
    return [block.proto.body for block in app.get("html") if 'class="ranking' in block.proto.body]


def read_names(body: str) -> list[str]:
    return [html.unescape(name) for name in re.findall(r'class="name" dir="auto">(.*?)</div>', body)]


def read_amounts(body: str) -> list[str]:
    return re.findall(r'class="amount">(.*?)</div>', body)


def test_the_navigation_starts_with_the_overview() -> None:
    assert PATHS == ["overview", "top-content", "trends", "recommendations", "real-time"]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_draws_without_an_exception_or_an_error(visit: Visit, path: str) -> None:
    app = visit(path)
    assert not app.exception
    assert not app.error
    assert app.title[0].value


@pytest.mark.parametrize("path", OF_THE_SNAPSHOT)
def test_before_the_first_snapshot_a_page_says_what_to_run(visit: Visit, path: str, tmp_path: Path) -> None:
    app = visit(path, home=tmp_path)
    assert not app.exception
    assert "make demo" in app.code[0].value


@pytest.mark.parametrize("path", OF_THE_SNAPSHOT)
def test_a_snapshot_without_plays_is_no_error(visit: Visit, path: str, tmp_path: Path) -> None:
    publish_snapshot(tmp_path / "warehouse", "empty", plays=0)
    app = visit(path, home=tmp_path)
    assert not app.exception
    assert not app.error
    assert "no plays yet" in app.info[0].value


def test_the_real_time_page_needs_a_lake_and_no_snapshot(visit: Visit, tmp_path: Path) -> None:
    before = visit("real-time", home=tmp_path)
    assert "There is no lake in" in before.info[0].value
    assert "make demo" in before.info[0].value
    wiring.open_lake(Settings(_env_file=None, home=tmp_path, lake=""))
    app = visit("real-time", home=tmp_path)
    assert not app.exception
    assert not app.info
    assert read_metrics(app)["Plays"] == "0"
    assert "The other pages fill by themselves as soon as a first snapshot is published." in [caption.value for caption in app.caption]


def test_the_overview_counts_what_was_heard(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
    plays, hours, tracks, artists, listeners = cursor.execute(
        """
        select count(*), round(sum(heard_ms) / 3600000), count(distinct track_id), count(distinct artist_name), count(distinct user_id)
        from listens
        """
    ).fetchone()
    figures = read_metrics(visit("overview", period="All time"))
    assert figures["Plays"] == f"{plays:,}"
    assert figures["Listening time"] == f"{hours:,.0f} h"
    assert figures["Unique tracks"] == str(tracks)
    assert figures["Unique artists"] == str(artists)
    assert figures["Active listeners"] == str(listeners)


def test_the_overview_compares_with_the_thirty_days_before(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
    now, before = cursor.execute(
        """
        select
            count(*) filter (played_at >= '2026-01-31'),
            count(*) filter (played_at >= '2026-01-01' and played_at <= '2026-01-30 18:30')
        from listens
        """
    ).fetchone()
    plays = visit("overview").metric[0]
    assert plays.value == f"{now:,}"
    assert plays.delta == f"{(now - before) / before:+.1%}".replace("%", " %")


def test_a_link_with_choices_shows_just_those(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
    (plays,) = cursor.execute(
        """
        select count(*) from listens
        where user_id = 'listener_00002' and device_type in ('mobile', 'speaker') and played_at >= '2026-02-23'
        """
    ).fetchone()
    app = visit("overview", listener="listener_00002", period="Last 7 days", device=["Mobile", "Speaker"])
    assert read_metrics(app)["Plays"] == str(plays)
    assert "listener\\_00002 · 23 Feb – 1 Mar 2026 · Mobile, Speaker" in [caption.value for caption in app.caption]


def test_chosen_dates_are_whole_days_of_utc(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
    (plays,) = cursor.execute("select count(*) from listens where played_date between '2026-02-01' and '2026-02-03'").fetchone()
    app = visit("overview", period="Choose dates", dates=["2026-02-01", "2026-02-03"])
    assert read_metrics(app)["Plays"] == str(plays)


def test_choices_made_on_the_page_change_its_figures(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
    app = visit("overview", period="All time")
    app.multiselect(key="device").set_value(["desktop"]).run()
    (plays,) = cursor.execute("select count(*) from listens where device_type = 'desktop'").fetchone()
    assert read_metrics(app)["Plays"] == f"{plays:,}"


@pytest.mark.parametrize(
    "choices",
    [
        {"period": "yesterday"},
        {"device": ["toaster"]},
        {"listener": "' or 1=1 --"},
        {"period": "Choose dates", "dates": ["soon", "2026-13-41"]},
        {"period": "Choose dates", "dates": "2026-02-01"},
    ],
    ids=["no such period", "no such device", "SQL as a listener", "dates that are none", "one date"],
)
def test_a_link_with_nonsense_is_no_error(visit: Visit, choices: dict[str, str | list[str]]) -> None:
    app = visit("overview", **choices)
    assert not app.exception
    assert not app.error


def test_a_listener_that_is_not_known_is_said_to_be(visit: Visit) -> None:
    assert "Nothing is known of this listener" in visit("overview", listener="nobody").info[0].value


def test_the_top_tracks_are_those_played_most(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
    rows = cursor.execute("select track_name, count(*) from listens group by all order by 2 desc, 1 limit 10").fetchall()
    tracks, _, _ = read_lists(visit("top-content", period="All time"))
    assert read_names(tracks) == [name for name, _ in rows]
    assert read_amounts(tracks) == [f"{plays:,}" for _, plays in rows]


def test_the_top_artists_and_albums_can_be_ranked_by_time(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
    artists = cursor.execute("select artist_name from listens group by all order by sum(heard_ms) desc, 1 limit 10").fetchall()
    albums = cursor.execute(
        "select album_name from listens group by album_name, artist_name order by sum(heard_ms) desc, 1 limit 10"
    ).fetchall()
    lists = read_lists(visit("top-content", period="All time", by="Listening time"))
    assert read_names(lists[1]) == [name for (name,) in artists]
    assert read_names(lists[2]) == [name for (name,) in albums]


def test_titles_of_any_length_and_script_stand_whole_and_escaped(visit: Visit) -> None:
    body = read_lists(visit("top-content", period="All time"))[0]
    assert {LONG_TITLE, RTL_TITLE, EMOJI_TITLE} <= set(read_names(body))
    assert "<b>not bold" not in body


def test_the_trends_name_the_busiest_hour(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
    weekday, hour, plays = cursor.execute(
        """
        select strftime(played_at, '%a'), hour(played_at), count(*)
        from listens
        group by 1, 2, isodow(played_at)
        order by 3 desc, isodow(played_at), 2
        """
    ).fetchone()
    captions = [caption.value for caption in visit("trends", period="All time").caption]
    assert f"Most plays: {weekday} {hour:02}:00–{hour:02}:59 UTC, {plays}." in captions


def test_the_trends_show_how_much_is_skipped_on_each_device(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
    rows = cursor.execute(
        """
        select coalesce(device_type, 'unknown'), count(*) filter (is_skipped) / count(*) filter (is_skipped is not null)
        from plays group by 1 order by count(*) desc
        """
    ).fetchall()
    skips = read_lists(visit("trends", period="All time"))[0]
    assert read_names(skips) == [device.capitalize() for device, _ in rows]
    assert read_amounts(skips) == [f"{rate:.1%}".replace("%", " %") for _, rate in rows]


@pytest.mark.parametrize("grain", ["Day", "Week", "Month"])
def test_the_trends_can_be_seen_by_any_grain(visit: Visit, grain: str) -> None:
    app = visit("trends", period="All time", grain=grain, measure="Unique tracks")
    assert app.subheader[0].value == f"Unique tracks by {grain.lower()}"
    assert not app.exception


def test_recommendations_link_to_the_track_to_a_search_or_for_an_invented_one_to_nothing(visit: Visit) -> None:
    (body,) = read_lists(visit("recommendations", listener="listener_00001"))
    entries = body.split("<li>")[1:]
    assert len(entries) == 10
    assert 'href="https://open.spotify.com/track/' in entries[0]
    assert "invented track" in entries[2]
    assert "href" not in entries[2]
    assert 'href="https://open.spotify.com/search/Artist%200%20Track%203"' in entries[3]
    assert "Because you played Artist 0" in entries[0]


def test_recommendations_ask_whom_they_are_for_and_take_a_click_as_the_answer(visit: Visit) -> None:
    app = visit("recommendations")
    assert "choose one" in app.info[0].value
    app.button[0].click().run()
    assert not app.exception
    assert len(read_lists(app)) == 1


def test_a_sole_listener_need_not_be_chosen(visit: Visit, tmp_path: Path) -> None:
    publish_snapshot(tmp_path / "warehouse", "alone", plays=300, listeners=1)
    assert len(read_lists(visit("recommendations", home=tmp_path))) == 1


def test_the_next_visit_sees_a_newer_snapshot(visit: Visit, tmp_path: Path) -> None:
    publish_snapshot(tmp_path / "warehouse", "one", plays=100)
    before = read_metrics(visit("overview", home=tmp_path, period="All time"))["Plays"]
    publish_snapshot(tmp_path / "warehouse", "two", plays=1000)
    assert int(read_metrics(visit("overview", home=tmp_path, period="All time"))["Plays"]) > int(before)


def test_a_snapshot_of_another_make_is_explained(visit: Visit, tmp_path: Path) -> None:
    path = publish_snapshot(tmp_path / "warehouse", "odd", plays=10)
    with duckdb.connect(path) as connection:
        connection.execute("drop table silver.silver_plays")
    app = visit("overview", home=tmp_path)
    assert not app.exception
    assert "soundlake transform" in app.error[0].value
