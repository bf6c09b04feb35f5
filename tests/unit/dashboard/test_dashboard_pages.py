"""Each page as a visitor sees it: the figures, the filters, and the text when there is nothing to show."""

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
from soundlake.dashboard.default_views import render_default_views
from soundlake.dashboard.page import Page, View
from soundlake.dashboard.pages import discover_pages
from soundlake.dashboard.process_state import get_snapshot_follower
from soundlake.dashboard.snapshot_reader import SnapshotReader
from soundlake.settings import Settings
from soundlake.warehouse.snapshot import open_snapshot

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


def test_the_real_time_page_without_a_lake_says_what_to_run(visit: Visit, tmp_path: Path) -> None:
    app = visit("real-time", home=tmp_path)
    assert "There is no lake in" in app.info[0].value
    assert "make demo" in app.info[0].value


def test_the_real_time_page_needs_no_snapshot(visit: Visit, tmp_path: Path) -> None:
    wiring.open_lake(Settings(_env_file=None, home=tmp_path, lake=""))
    app = visit("real-time", home=tmp_path)
    assert not app.exception
    assert app.info[0].value.startswith("No events in the last 15 minutes.")
    assert read_metrics(app)["Plays"] == "0"
    assert "The other pages appear as soon as the first snapshot is published." in [caption.value for caption in app.caption]


def test_the_overview_counts_listens(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
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


def test_an_unknown_listener_is_named_and_all_are_offered(visit: Visit) -> None:
    app = visit("overview", listener="nobody")
    assert app.info[0].value == "No plays of a listener named nobody. Choose another one on the left."
    assert [button.label for button in app.button] == ["Show all listeners"]


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


def test_titles_of_any_length_and_script_are_complete_and_escaped(visit: Visit) -> None:
    body = read_lists(visit("top-content", period="All time"))[0]
    assert {LONG_TITLE, RTL_TITLE, EMOJI_TITLE} <= set(read_names(body))
    assert "<b>not bold" not in body


def test_the_trends_name_the_hour_with_the_most_plays_on_average(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
    weekday, hour, mean = cursor.execute(
        """
        with hours as (
            select begin, count(event_id) as plays
            from (
                select unnest(range(timestamptz '2026-01-31 00:00:00+00', timestamptz '2026-03-01 19:00:00+00', interval 1 hour)) as begin
            )
            left join listens on played_at >= begin and played_at < begin + interval 1 hour
            group by begin
        )
        select strftime(begin, '%a'), hour(begin), avg(plays)
        from hours group by 1, 2, isodow(begin) order by 3 desc, isodow(begin), 2
        """
    ).fetchone()
    captions = [caption.value for caption in visit("trends").caption]
    assert any(f"Busiest: {weekday} {hour:02}:00–{hour:02}:59 UTC, {mean:.1f} plays." in caption for caption in captions)


def test_the_trends_order_devices_by_the_skip_rate_that_they_show(visit: Visit, cursor: duckdb.DuckDBPyConnection) -> None:
    rows = cursor.execute(
        """
        select coalesce(device_type, 'unknown'), count(*) filter (is_skipped) / count(*) filter (is_skipped is not null) as rate
        from plays group by 1 order by rate desc
        """
    ).fetchall()
    skips = read_lists(visit("trends", period="All time"))[0]
    assert read_names(skips) == [device.capitalize() for device, _ in rows]
    assert read_amounts(skips) == [f"{rate:.1%}".replace("%", " %") for _, rate in rows]


def test_the_overview_orders_devices_by_the_plays_that_it_shows(visit: Visit, tmp_path: Path) -> None:
    change = "update silver.silver_plays set is_listen = false where device_type = 'mobile' and hash(event_id) % 10 > 0"
    path = publish_snapshot(tmp_path / "warehouse", "skipped", change=change)
    with duckdb.connect(path, read_only=True) as connection:
        by_plays, by_started = (
            connection.execute(
                f"select coalesce(device_type, 'unknown') from silver.silver_plays group by 1 order by {number} desc"
            ).fetchall()
            for number in ("count(*) filter (is_listen)", "count(*)")
        )
    assert by_plays != by_started
    devices = read_lists(visit("overview", home=tmp_path, period="All time"))[1]
    assert read_names(devices) == [device.capitalize() for (device,) in by_plays]
    amounts = [int(amount.replace(",", "")) for amount in read_amounts(devices)]
    assert amounts == sorted(amounts, reverse=True)


def test_a_device_without_a_known_skip_rate_is_last_and_has_no_bar(visit: Visit, tmp_path: Path) -> None:
    publish_snapshot(
        tmp_path / "warehouse", "unknown", change="update silver.silver_plays set is_skipped = null where device_type = 'mobile'"
    )
    skips = read_lists(visit("trends", home=tmp_path, period="All time"))[0]
    places = skips.split("<li>")[1:]
    assert (read_names(skips)[-1], read_amounts(skips)[-1]) == ("Mobile", "–")
    assert ['class="bar"' in place for place in places] == [True] * (len(places) - 1) + [False]


def test_sources_that_do_not_report_skips_are_named_as_the_reason(visit: Visit, tmp_path: Path) -> None:
    publish_snapshot(tmp_path / "warehouse", "unknown", change="update silver.silver_plays set is_skipped = null")
    captions = [caption.value for caption in visit("trends", home=tmp_path).caption]
    assert "The sources of these plays do not report whether they were skipped." in captions


@pytest.mark.parametrize("grain", ["Day", "Week", "Month"])
def test_the_trends_can_be_shown_by_any_grain(visit: Visit, grain: str) -> None:
    app = visit("trends", period="All time", grain=grain, measure="Unique tracks")
    assert app.subheader[0].value == f"Unique tracks by {grain.lower()}"
    assert not app.exception


def test_recommendations_link_to_the_track_or_a_search_and_a_synthetic_track_has_no_link(visit: Visit) -> None:
    (body,) = read_lists(visit("recommendations", listener="listener_00001"))
    entries = body.split("<li>")[1:]
    assert len(entries) == 10
    assert 'href="https://open.spotify.com/track/' in entries[0]
    assert "synthetic track" in entries[2]
    assert "href" not in entries[2]
    assert 'href="https://open.spotify.com/search/Artist%200%20Track%203"' in entries[3]
    assert "Because you played Artist 0" in entries[0]


def test_recommendations_offer_listeners_to_click(visit: Visit) -> None:
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


def test_a_snapshot_of_another_version_is_explained(visit: Visit, tmp_path: Path) -> None:
    path = publish_snapshot(tmp_path / "warehouse", "odd", plays=10)
    with duckdb.connect(path) as connection:
        connection.execute("drop table silver.silver_plays")
    app = visit("overview", home=tmp_path)
    assert not app.exception
    assert "soundlake transform" in app.error[0].value


NOTHING = {"period": "Last 7 days", "device": ["Desktop"], "listener": "listener_00005"}


@pytest.fixture
def home_without_match(tmp_path: Path) -> Path:
    """A home where `NOTHING` matches no play, and each filter alone matches some."""
    change = "delete from silver.silver_plays where user_id = 'listener_00005' and (played_at >= '2026-02-20' or device_type = 'desktop')"
    publish_snapshot(tmp_path / "warehouse", "gone", change=change)
    return tmp_path


@pytest.mark.parametrize("path", ["overview", "top-content", "trends"])
def test_without_a_match_a_page_says_so_and_draws_nothing_else(visit: Visit, home_without_match: Path, path: str) -> None:
    app = visit(path, home=home_without_match, **NOTHING)
    assert app.info[0].value.startswith("No plays match these filters. The newest play of listener\\_00005 was on ")
    assert [button.label for button in app.button] == ["Show all devices", "Show all time", "Show all listeners"]
    assert not app.subheader
    assert not app.metric
    assert not app.get("vega_lite_chart")


@pytest.mark.parametrize("label", ["Show all devices", "Show all time", "Show all listeners"])
def test_a_button_removes_one_filter(visit: Visit, home_without_match: Path, label: str) -> None:
    app = visit("overview", home=home_without_match, **NOTHING)
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    caption = app.caption[0].value
    assert ("all devices" in caption) == (label == "Show all devices")
    assert ("All listeners" in caption) == (label == "Show all listeners")
    assert ("21 Dec 2025" in caption or "Jan" in caption or "Dec" in caption) == (label == "Show all time")


def test_a_period_ends_on_the_same_day_for_every_listener(visit: Visit, home_without_match: Path) -> None:
    captions = [visit("overview", home=home_without_match, listener=name).caption[0].value for name in ("listener_00005", "listener_00001")]
    assert ["31 Jan – 1 Mar 2026" in caption for caption in captions] == [True, True]


def read_sparklines(app: AppTest) -> dict[str, list[tuple[str, float | None]]]:
    """By the name of its figure: the label and the height of each bar, None for a gap."""
    bodies = [block.proto.body for block in app.get("html") if 'class="spark"' in block.proto.body]
    return {
        re.search(r'aria-label="(.*?) over time"', body)[1]: [
            (html.unescape(label), float(height) if height else None)
            for label, height in re.findall(r'<div title="(.*?)">(?:<span style="height:([\d.]+)%"></span>)?</div>', body)
        ]
        for body in bodies
    }


def test_a_sparkline_starts_at_zero_leaves_out_the_unfinished_day_and_names_its_values(
    visit: Visit, cursor: duckdb.DuckDBPyConnection
) -> None:
    rows = cursor.execute(
        """
        select strftime(played_date, '%-d %b %Y'), count(*), round(sum(heard_ms) / 60000)::bigint from listens
        where played_at >= '2026-01-31' and played_at < '2026-03-01' group by played_date order by played_date
        """
    ).fetchall()
    most = max(plays for _, plays, _ in rows)
    bars = read_sparklines(visit("overview"))
    assert [label for label, _ in bars["Plays"]] == [f"{day}: {plays} plays" for day, plays, _ in rows]
    assert [height for _, height in bars["Plays"]] == pytest.approx([100 * plays / most for _, plays, _ in rows], abs=0.06)
    assert [label for label, _ in bars["Listening time"]] == [f"{day}: {ms // 60} h {ms % 60} min" for day, _, ms in rows]


def test_days_before_the_data_and_unknown_skip_rates_are_gaps(visit: Visit, tmp_path: Path) -> None:
    change = "update silver.silver_plays set is_skipped = null where played_date = '2026-02-27'"
    publish_snapshot(tmp_path / "warehouse", "short", days=5, plays=500, change=change)
    bars = read_sparklines(visit("overview", home=tmp_path))
    assert bars["Plays"][0] == ("31 Jan 2026: no data", None)
    assert [height is None for _, height in bars["Plays"]] == [True] * 24 + [False] * 5
    assert dict(bars["Skip rate"])["27 Feb 2026: unknown"] is None
    assert all(height for label, height in bars["Skip rate"] if label.endswith("% skipped"))


def test_the_page_shows_when_the_snapshot_was_built(visit: Visit) -> None:
    assert ":green[●] Updated 1 Mar 2026, 19:00 UTC  \nNewest play 1 Mar 2026, 18:30 UTC" in [c.value for c in visit("overview").caption]


def test_rendering_the_default_views_computes_every_answer_of_a_first_visit(visit: Visit, tmp_path: Path) -> None:
    publish_snapshot(tmp_path / "warehouse", "one", plays=400)
    reader = get_snapshot_follower(Settings(_env_file=None, home=tmp_path)).get_reader()
    answers = reader.questions_answered
    assert answers > 10
    for path in OF_THE_SNAPSHOT:
        assert not visit(path, home=tmp_path).exception
    assert reader.questions_answered == answers


def test_an_error_in_one_default_view_is_logged_and_the_others_are_rendered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def fail(_: View) -> None:
        raise ZeroDivisionError

    rendered: list[str] = []
    pages = [Page(1, "A", "a", "", fail), Page(2, "B", "b", "", lambda view: rendered.append(view.reader.snapshot_id))]
    monkeypatch.setattr("soundlake.dashboard.default_views.discover_pages", lambda: pages)
    publish_snapshot(tmp_path, "one", plays=10)
    render_default_views(SnapshotReader(open_snapshot(tmp_path)))
    assert rendered == ["one"]
    assert "the default view of a failed" in caplog.text
