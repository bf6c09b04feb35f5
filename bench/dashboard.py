"""What the dashboard costs: the first page of a new process, and the Real-time page with three tabs; prints one JSON line a run.

    python bench/dashboard.py HOME [--python PATH …] [--pairs 3] [--seconds 30]

HOME holds a built demo; while a sink stores live events in it, the Real-time page has something to read. `--python` names interpreters of
checkouts to compare; they take turns, A B A B. Each run starts a server, waits until it reports ready, and opens the Overview in a new
Chromium; then it opens three tabs of the Real-time page and measures the server's processor time, how long the pages were redrawn, and
how long their content was dimmed because an answer was overdue.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser import CHROMIUM, FLAGS, Visit

TABS = 3
SAMPLE_SECONDS = 0.25
READ_STATE = """() => ({
    running: document.querySelector('[data-testid=stApp]').dataset.testScriptState !== 'notRunning',
    dimmed: document.querySelector('[data-stale=true]') !== null,
})"""


def start_server(python: str, home: Path, log: Path) -> tuple[psutil.Popen, str, float]:
    """A server that reports ready, its address, and the seconds that took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", "soundlake.cli.app", "serve", "dashboard", "--port", str(port)]
    begun = time.monotonic()
    with log.open("wb") as output:
        server = psutil.Popen(
            command, env=os.environ | {"SOUNDLAKE_HOME": str(home)}, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT
        )
    base = f"http://127.0.0.1:{port}"
    while True:
        try:
            urlopen(f"{base}/_stcore/health", timeout=1).close()
        except URLError:
            if server.poll() is not None:
                raise SystemExit(log.read_text()) from None
            time.sleep(0.05)
        else:
            return server, base, time.monotonic() - begun


def measure_first_page(browser: Browser, base: str) -> float:
    """Seconds until the Overview is complete in a browser without a cache."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    visit = Visit(context.new_page(), base)
    visit.page.set_default_timeout(120_000)
    begun = time.monotonic()
    visit.open("")
    visit.page.locator("[data-testid=stVegaLiteChart] svg, [data-testid=stVegaLiteChart] canvas").last.wait_for()
    seconds = time.monotonic() - begun
    context.close()
    return seconds


def measure_real_time(browser: Browser, base: str, server: psutil.Popen, seconds: float) -> dict[str, float]:
    """What three tabs of the Real-time page cost the server, and how calm they are."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    tabs = [context.new_page() for _ in range(TABS)]
    for tab in tabs:
        tab.set_default_timeout(120_000)
        tab.goto(f"{base}/real-time")
    for tab in tabs:
        tab.get_by_test_id("stMetric").first.wait_for()
    time.sleep(10)
    states: list[dict[str, bool]] = []
    before, begun = sum(server.cpu_times()[:2]), time.monotonic()
    while time.monotonic() - begun < seconds:
        states += [read_state(tab) for tab in tabs]
        time.sleep(SAMPLE_SECONDS)
    cpu = (sum(server.cpu_times()[:2]) - before) / (time.monotonic() - begun)
    context.close()
    shares = {name: round(statistics.mean(state[name] for state in states), 3) for name in ("running", "dimmed")}
    return {"cpu_per_second": round(cpu, 3)} | shares


def read_state(tab: Page) -> dict[str, bool]:
    """Whether the page is being redrawn, and whether any of it is dimmed."""
    state: dict[str, bool] = tab.evaluate(READ_STATE)
    return state


def run(browser: Browser, python: str, home: Path, seconds: float) -> dict[str, object]:
    """One server, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        server, base, ready = start_server(python, home, Path(folder) / "server.log")
        try:
            first = measure_first_page(browser, base)
            cpu = sum(server.cpu_times()[:2])
            real_time = measure_real_time(browser, base, server, seconds)
        finally:
            server.terminate()
            server.wait()
    figures = {"ready_s": round(ready, 2), "first_page_s": round(first, 2), "cpu_until_then_s": round(cpu, 2)}
    return {"python": python, "load": round(os.getloadavg()[0], 1), **figures, "real_time": real_time}


def main() -> None:
    """Runs the servers in turns and prints what each cost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("--python", nargs="+", default=[sys.executable])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    with sync_playwright() as playwright:
        for _ in range(options.pairs):
            for python in options.python:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                print(json.dumps(run(browser, python, options.home.absolute(), options.seconds)), flush=True)
                browser.close()


if __name__ == "__main__":
    main()
