"""The served dashboard, opened in Chromium; an error or warning in the browser's console fails the test that made the visit."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

__all__ = ["CHROMIUM", "Visit", "browser", "open_visit", "start_dashboard"]

CHROMIUM = shutil.which("chromium")
READY = "[data-testid=stApp][data-test-script-state=notRunning]"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

StartDashboard = Callable[..., str]


@dataclass
class Visit:
    """One opened page, the messages of its console and the hosts that it called."""

    page: Page
    base: str
    console_messages: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def open(self, path: str, **choices: str) -> Page:
        self.page.goto(f"{self.base}/{path}?{urlencode(choices, doseq=True)}")
        self.wait()
        return self.page

    def wait(self) -> None:
        self.page.wait_for_selector("h1")
        self.page.wait_for_selector(READY)
        self.page.wait_for_function("!document.querySelector('[data-stale=true], [data-testid=stSkeleton]')")

    def record_message(self, message: ConsoleMessage) -> None:
        # Streamlit first looks for its server below the path of the page, and the browser reports each 404 of it
        if message.type in ("error", "warning") and "/_stcore/" not in message.location["url"]:
            self.console_messages.append(message.text)

    def read_metric(self, label: str) -> str:
        metric = self.page.get_by_test_id("stMetric").filter(has=self.page.get_by_text(label, exact=True))
        return metric.get_by_test_id("stMetricValue").inner_text()

    def read_list(self, label: str) -> list[tuple[str, str]]:
        entries = self.page.get_by_role("list", name=label, exact=True).locator("li").all()
        return [(entry.locator(".name").inner_text(), entry.locator(".amount").inner_text()) for entry in entries]


@contextmanager
def open_visit(browser: Browser, base: str) -> Iterator[Visit]:
    """A page that collects console messages; at the end there must be none, no exception on the page and no call to another host."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, timezone_id="America/Los_Angeles")
    visit = Visit(context.new_page(), base)
    visit.page.set_default_timeout(60_000)
    visit.page.on("console", visit.record_message)
    visit.page.on("pageerror", lambda error: visit.console_messages.append(str(error)))
    visit.page.on("request", lambda request: visit.hosts.add(urlsplit(request.url).netloc))
    yield visit
    assert visit.page.get_by_test_id("stException").count() == 0
    assert visit.console_messages == []
    assert visit.hosts <= {urlsplit(base).netloc, ""}
    context.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip("no `chromium` on the path; install Debian's package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def start_dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartDashboard]:
    """Serves the dashboard of a home, with further settings, by the command that a user types; returns its address."""
    servers: list[subprocess.Popen[bytes]] = []

    def start(home: Path, **settings: str) -> str:
        port = find_free_port()
        command = [sys.executable, "-m", "soundlake.cli.app", "serve", "dashboard", "--port", str(port)]
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        environment = os.environ | {"SOUNDLAKE_HOME": str(home)} | settings
        with (elsewhere / "server.log").open("wb") as log:
            servers.append(subprocess.Popen(command, cwd=elsewhere, env=environment, stdout=log, stderr=log))
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


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
