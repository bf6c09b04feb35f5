"""The dashboard as it is served, opened in Chromium: what stands on the pages is what SQL says, and nothing breaks or calls outside."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import duckdb
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from tests.unit.dashboard.snapshot_builder import publish_snapshot

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
READY = "[data-testid=stApp][data-test-script-state=notRunning]"
PATHS = ["", "top-content", "trends", "recommendations"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no `chromium` on the path; install Debian's package chromium")


@dataclass
class Visit:
    """One opened page and what the browser had to complain about."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def open(self, path: str, **choices: str) -> Page:
        self.page.goto(f"{self.base}/{path}?{urlencode(choices, doseq=True)}")
        self.wait()
        return self.page

    def wait(self) -> None:
        self.page.wait_for_selector("h1")
        self.page.wait_for_selector(READY)
        self.page.wait_for_function("!document.querySelector('[data-stale=true], [data-testid=stSkeleton]')")

    def hear(self, message: ConsoleMessage) -> None:
        # Streamlit looks for its server below the page's own path first, and the browser reports each 404 of it
        if message.type == "error" and "/_stcore/" not in message.location["url"]:
            self.complaints.append(message.text)

    def read_metric(self, label: str) -> str:
        metric = self.page.get_by_test_id("stMetric").filter(has=self.page.get_by_text(label, exact=True))
        return metric.get_by_test_id("stMetricValue").inner_text()

    def read_list(self, label: str) -> list[tuple[str, str]]:
        places = self.page.get_by_role("list", name=label, exact=True).locator("li").all()
        return [(place.locator(".name").inner_text(), place.locator(".amount").inner_text()) for place in places]


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], str]]:
    """Serves the dashboard of a home by the command a user types; its address."""
    servers: list[subprocess.Popen[bytes]] = []

    def start(home: Path) -> str:
        port = find_free_port()
        command = [sys.executable, "-m", "soundlake.cli.app", "serve", "dashboard", "--port", str(port)]
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        log = (elsewhere / "server.log").open("wb")
        servers.append(subprocess.Popen(command, cwd=elsewhere, env=os.environ | {"SOUNDLAKE_HOME": str(home)}, stdout=log, stderr=log))
        log.close()
        base = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                urlopen(f"{base}/_stcore/health", timeout=1).close()
            except URLError:
                assert servers[-1].poll() is None, (elsewhere / "server.log").read_text()
                time.sleep(0.25)
            else:
                return base
        raise AssertionError((elsewhere / "server.log").read_text())

    yield start
    for server in servers:
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) in (0, -signal.SIGTERM)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(start_server: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """An address, and the file of the snapshot it shows."""
    home = tmp_path_factory.mktemp("home")
    path = publish_snapshot(home / "warehouse", "first")
    return start_server(home), path


@pytest.fixture
def visit(browser: Browser, served: tuple[str, Path]) -> Iterator[Visit]:
    yield from open_visit(browser, served[0])


def open_visit(browser: Browser, base: str) -> Iterator[Visit]:
    """A page that collects complaints; none is left in the end, nor an exception on it, nor a call to another host."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, timezone_id="America/Los_Angeles")
    visit = Visit(context.new_page(), base)
    visit.page.set_default_timeout(60_000)
    visit.page.on("console", visit.hear)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("request", lambda request: visit.hosts.add(urlsplit(request.url).netloc))
    yield visit
    assert visit.page.get_by_test_id("stException").count() == 0
    assert visit.complaints == []
    assert visit.hosts <= {urlsplit(base).netloc, ""}
    context.close()


def ask(path: Path, question: str) -> list[tuple]:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(question).fetchall()


def test_the_very_first_visit_may_be_to_a_page_below_the_start(visit: Visit) -> None:
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
        "select coalesce(device_type, 'unknown'), avg(is_skipped::int) from silver.silver_plays group by 1 order by count(*) desc",
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


@pytest.mark.parametrize("width", [420, 1400], ids=["narrow", "wide"])
def test_no_page_scrolls_sideways(visit: Visit, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 900})
    for path in PATHS:
        page = visit.open(path, listener="listener_00001")
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width, path


def test_choices_go_into_the_address_and_along_to_the_other_pages(visit: Visit, served: tuple[str, Path]) -> None:
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


def test_an_open_page_fills_with_the_first_snapshot_and_follows_twenty_more(
    browser: Browser, start_server: Callable[[Path], str], tmp_path: Path
) -> None:
    base = start_server(tmp_path)
    for visit in open_visit(browser, base):
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
