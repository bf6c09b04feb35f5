"""The served dashboard in Chromium: its pages show what SQL counts, nothing breaks, and nothing calls another host."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import Browser
from tests.browser import StartDashboard, Visit, open_visit
from tests.unit.dashboard.snapshot_builder import publish_snapshot

PATHS = ["", "top-content", "trends", "recommendations", "real-time"]


@pytest.fixture(scope="module")
def served(start_dashboard: StartDashboard, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """An address, and the file of the snapshot it shows."""
    home = tmp_path_factory.mktemp("home")
    path = publish_snapshot(home / "warehouse", "first")
    return start_dashboard(home), path


@pytest.fixture
def visit(browser: Browser, served: tuple[str, Path]) -> Iterator[Visit]:
    with open_visit(browser, served[0]) as visit:
        yield visit


def ask(path: Path, question: str) -> list[tuple]:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(question).fetchall()


def test_the_first_visit_may_be_to_any_page(visit: Visit) -> None:
    assert visit.open("trends").get_by_role("heading", name="Trends").is_visible()


def test_the_overview_shows_what_sql_counts(visit: Visit, served: tuple[str, Path]) -> None:
    visit.open("", period="All time")
    ((plays, hours, tracks, artists, listeners),) = ask(
        served[1],
        """
        select count(*), round(sum(heard_ms) / 3600000), count(distinct track_id), count(distinct artist_name), count(distinct user_id)
        from silver.silver_plays where is_listen
        """,
    )
    assert visit.read_metric("Plays") == f"{plays:,}"
    assert visit.read_metric("Listening time") == f"{hours:,.0f} h"
    assert visit.read_metric("Unique tracks") == str(tracks)
    assert visit.read_metric("Unique artists") == str(artists)
    assert visit.read_metric("Active listeners") == str(listeners)


@pytest.mark.parametrize(("label", "column"), [("Top tracks", "track_name"), ("Top artists", "artist_name")])
def test_the_top_lists_show_what_sql_ranks(visit: Visit, served: tuple[str, Path], label: str, column: str) -> None:
    visit.open("top-content", period="All time", device="Mobile")
    rows = ask(
        served[1],
        f"""
        select {column}, count(*) from silver.silver_plays
        where is_listen and device_type = 'mobile' group by 1 order by 2 desc, 1 limit 10
        """,
    )
    assert visit.read_list(label) == [(name, f"{plays:,}") for name, plays in rows]


def test_the_trends_draw_their_charts_and_the_skip_rates_of_sql(visit: Visit, served: tuple[str, Path]) -> None:
    page = visit.open("trends", period="All time")
    rows = ask(
        served[1],
        "select coalesce(device_type, 'unknown'), avg(is_skipped::int) from silver.silver_plays group by 1 order by 2 desc",
    )
    assert visit.read_list("Skip rate by device") == [(device.capitalize(), f"{rate * 100:.1f} %") for device, rate in rows]
    assert page.get_by_test_id("stVegaLiteChart").locator("canvas, svg").count() == 4


def test_recommendations_show_scores_reasons_and_links(visit: Visit, served: tuple[str, Path]) -> None:
    page = visit.open("recommendations", listener="listener_00002")
    rows = ask(
        served[1],
        "select track_name, recommendation_score from gold.user_recommendations where user_id = 'listener_00002' order by rank",
    )
    assert visit.read_list("Recommended tracks") == [(name, f"score {score:.3f}") for name, score in rows]
    link = page.get_by_role("link", name="Play on Spotify").first
    assert re.fullmatch(r"https://open\.spotify\.com/track/[0-9A-Za-z]{22}", link.get_attribute("href"))
    assert page.get_by_text("Because you played").count() == 10


def test_a_sparkline_names_its_values_on_hover(visit: Visit, served: tuple[str, Path]) -> None:
    page = visit.open("")
    ((minutes,),) = ask(
        served[1], "select round(sum(heard_ms) / 60000)::bigint from silver.silver_plays where is_listen and played_date = '2026-02-28'"
    )
    bar = page.get_by_role("img", name="Listening time over time").get_by_title("28 Feb 2026")
    assert bar.get_attribute("title") == f"28 Feb 2026: {minutes // 60} h {minutes % 60} min"
    assert bar.locator("span").bounding_box()["height"] > 1


@pytest.mark.parametrize("width", [420, 1400], ids=["narrow", "wide"])
def test_no_page_scrolls_sideways(visit: Visit, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 900})
    for path in PATHS:
        page = visit.open(path, listener="listener_00001")
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width, path


def test_filters_are_kept_in_the_address_and_on_the_other_pages(visit: Visit, served: tuple[str, Path]) -> None:
    page = visit.open("")
    page.get_by_test_id("stSelectbox").first.get_by_role("combobox").click()
    page.get_by_role("option", name="listener_00003").click()
    page.wait_for_url("**/?listener=listener_00003")
    page.get_by_role("link", name="Top Content").click()
    page.wait_for_url("**/top-content?listener=listener_00003")
    visit.wait()
    rows = ask(
        served[1],
        """
        select artist_name, count(*) from silver.silver_plays
        where is_listen and user_id = 'listener_00003' and played_at >= '2026-01-31' group by 1 order by 2 desc, 1 limit 10
        """,
    )
    assert visit.read_list("Top artists") == [(name, f"{plays:,}") for name, plays in rows]


def test_the_appearance_can_be_chosen_and_there_is_no_deploy_button(visit: Visit) -> None:
    page = visit.open("")
    assert page.get_by_test_id("stAppDeployButton").count() == 0
    page.get_by_test_id("stMainMenu").click()
    page.get_by_text(re.compile("Dark$")).click()
    page.wait_for_function("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor === 'rgb(14, 21, 25)'")
    page.wait_for_function("getComputedStyle(document.documentElement).getPropertyValue('--accent') === '#2FC6B8'")


def test_an_open_page_shows_the_first_snapshot_and_follows_twenty_more(
    browser: Browser, start_dashboard: StartDashboard, tmp_path: Path
) -> None:
    base = start_dashboard(tmp_path)
    with open_visit(browser, base) as visit:
        visit.page.goto(f"{base}/?period=All+time")
        visit.page.get_by_text("There is no data yet").wait_for()
        for build in range(21):
            path = publish_snapshot(tmp_path / "warehouse", f"build-{build:02}", plays=200 + 10 * build)
            for stale in sorted(path.parent.glob("build-*.duckdb"))[:-3]:
                stale.unlink()
            time.sleep(0.5)
        ((plays,),) = ask(path, "select count(*) from silver.silver_plays where is_listen")
        visit.page.get_by_test_id("stMetricValue").filter(has_text=re.compile(f"^{plays}$")).wait_for()
        assert visit.page.get_by_test_id("stAlert").count() == 0
