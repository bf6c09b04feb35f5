"""The poller over 300 changes of the song, and as a command: two processes on one account, one of which is killed."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.spotify_home import T0_MS, SpotifyHome, run
from tests.spotify_processes import serve

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import TOPICS
from soundlake.spotify.budget import Limits
from soundlake.spotify.fake import AdjustableClock, FakeApp, FakeSpotify, write_timeline
from soundlake.spotify.poller import ListeningStore, Poller, find_pace
from soundlake.spotify.tokens import FileTokenStore

CHANGES = 300


def test_a_new_song_is_seen_within_ten_seconds_over_300_changes(tmp_path):
    draw = random.Random(1)
    lengths = [draw.randint(90, 300) for _ in range(CHANGES)]
    heard = [length if draw.random() < 0.7 else draw.randint(10, length) for length in lengths]
    begins = [sum(heard[:number]) for number in range(CHANGES)]
    states = [{"run": [at, at + seconds, f"T{number}", 0]} for number, (at, seconds) in enumerate(zip(begins, heard, strict=True))]
    end = begins[-1] + heard[-1]
    late = {}

    class Observer:
        async def take_song(self, listener, song):
            number = int(song.song.name.removeprefix("Song T"))
            late.setdefault(number, self.clock().timestamp() - T0_MS / 1000 - begins[number])

    async def main(home):
        tracks = {f"T{number}": length * 1000 for number, length in enumerate(lengths)}
        home.fake.add_account(write_timeline("anna", T0_MS, tracks, [*states, {"none": [end, end + 100_000]}]))
        home.connect("anna")
        broker, observer, app = MemoryBroker(home.clock), Observer(), home.find_app()
        broker.create_topics(TOPICS, partitions=1)
        observer.clock = home.clock
        poller = Poller(
            store=home.store, listenings=ListeningStore(tmp_path / "listening"), make_client=lambda one: home.make_client(one.account, app),
            publisher=Publisher(broker, home.clock), clock=home.clock, sleep=home.clock.sleep, observer=observer,
            find_pace=lambda one, count: find_pace(home.budget.measure_use(home.make_client(one.account, app).app), count),
        )  # fmt: skip
        task = asyncio.ensure_future(poller.run(lambda report: None))
        await home.clock.sleep(end + 100)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(tmp_path, main, limits=Limits(6, 100_000))
    assert len(late) == CHANGES
    assert np.percentile(list(late.values()), 95) <= 10, np.percentile(list(late.values()), [50, 95, 100])


@pytest.fixture
def home(tmp_path):
    now = datetime.now(UTC)
    fake = FakeSpotify(AdjustableClock(now))
    fake.add_app(FakeApp())
    fake.add_account(write_timeline("anna", int(now.timestamp() * 1000), {"A": 3_000_000}, [{"run": [0, 3_000, "A", 0]}]))
    folder = tmp_path / "home"
    account = SpotifyHome(fake, lambda: datetime.now(UTC), folder / "spotify").connect("anna").account
    with serve(fake) as url:
        move(folder, account, url)
        yield {**os.environ, "SOUNDLAKE_HOME": str(folder)}


def move(folder, account, url):
    """Give the connection the address of the served fake."""
    store = FileTokenStore(folder / "spotify" / "accounts")
    store.write(replace(store.read(account), accounts_url=url, api_url=url))


@contextmanager
def start(environment, *arguments):
    command = [sys.executable, "-m", "soundlake.cli.app", "spotify", "poll", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process, text):
    """The line of the process that holds the text; fails when the process ends before."""
    while text not in (line := process.stderr.readline()):
        assert line, process.wait()
    return line


def test_a_second_process_names_the_first_and_takes_over_within_a_minute_of_its_kill(home):
    with start(home) as first:
        assert " published after " in read_until(first, "acc-anna plays another song: seen after ")
        read_until(first, "acc-anna: Artist")
        with start(home) as second:
            read_until(second, f"acc-anna is followed by process {first.pid} on ")
            first.kill()
            killed = time.monotonic()
            read_until(second, "acc-anna: ")
            assert time.monotonic() - killed < 60
            second.terminate()
            second.communicate(timeout=20)
            assert second.returncode == 0


def test_a_poller_that_ends_without_an_answer_says_so(home):
    move(Path(home["SOUNDLAKE_HOME"]), "acc-anna", "http://127.0.0.1:9")
    with start(home, "--for", "3s") as process:
        err = process.communicate(timeout=60)[1]
    assert (process.returncode, "Spotify does not answer /v1/me" in err) == (1, True), err
