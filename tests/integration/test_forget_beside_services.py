"""The erasure of a hundred listeners, killed thirty times and beside other services: nothing of them is left, nobody else lost."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path

import pytest
from tests.integration.forget_home import ForgetHome

KILLS = 30
STEPS_BEFORE_THE_BUILD = 17
LONG_STEPS = (2, 3, STEPS_BEFORE_THE_BUILD)
SINK = ("sink", "--compact-every", "0")
COMPACTION = ("compact", "--every", "0.5s")


@pytest.fixture
def home(tmp_path: Path) -> ForgetHome:
    home = ForgetHome.make(tmp_path / "home", erased=100, kept=20)
    home.run("sink", "--until-drained")
    home.publish([*home.erased, *home.kept], 8)
    home.publish_broken()
    home.run("sink", "--until-drained")
    home.run("transform")
    home.publish([*home.erased, *home.kept], 4)  # the sink stores these while the erasure runs
    return home


def assert_nothing_is_left(home: ForgetHome) -> None:
    assert home.find_bytes() == []
    assert home.find_values() == []
    assert home.count_kept() == home.stored
    home.read_check()


def test_a_killed_erasure_resumes_and_leaves_nothing(home):
    listeners, steps = home.write_list(), set()
    (home.folder / "logs").mkdir()
    (home.folder / "logs" / "spotify-poll.log").write_text("".join(f"2026-11-30 {user_id}: answers again\n" for user_id in home.erased))
    with home.run_beside(SINK, COMPACTION):
        for number in range(KILLS):
            steps.add(kill_once(home, listeners, after=min(STEPS_BEFORE_THE_BUILD, STEPS_BEFORE_THE_BUILD * number // (KILLS - 3))))
        home.run("forget", "--from-file", listeners, "--yes")
    home.run("sink", "--until-drained")
    home.run("transform")
    assert len(steps) >= 3, steps  # kills in different steps; how many depends on the load of the machine
    assert_nothing_is_left(home)
    receipts = [json.loads(path.read_text()) for path in (home.folder / "erasure" / "receipts").iterdir()]
    assert len(receipts[0]["listeners"]) == 100
    assert receipts[0]["deleted"]["bronze/plays"] >= 800
    assert receipts[0]["deleted"]["bronze/rejected"] == 100
    assert not list((home.folder / "erasure").glob("*.journal"))


def kill_once(home: ForgetHome, listeners: str, after: int) -> int:
    """Start the erasure and kill it once it has begun, so many steps are done and some more time is over; returns how many were done.

    Most steps take 10 ms; the log, bronze/plays and the build take longer, and are to be killed anywhere within.
    """
    before = find_journal_time(home)
    with home.start("forget", "--from-file", listeners, "--yes") as erasure:
        while erasure.poll() is None and (find_journal_time(home) == before or count_done(home) < after):
            time.sleep(0.002)
        time.sleep(home.rng.uniform(0, 2) if count_done(home) in LONG_STEPS else 0)
        erasure.send_signal(signal.SIGKILL)
    assert erasure.returncode == -signal.SIGKILL, (home.folder / "logs" / "forget.log").read_text()[-3000:]
    return count_done(home)


def find_journal_time(home: ForgetHome) -> int:
    """When the journal was last written, in nanoseconds; an erasure writes it before its first step. 0 without one."""
    return max((path.stat().st_mtime_ns for path in (home.folder / "erasure").glob("*.journal")), default=0)


def count_done(home: ForgetHome) -> int:
    """How many steps the journal names; -1 before there is one."""
    return max((len(json.loads(path.read_text())["done"]) for path in (home.folder / "erasure").glob("*.journal")), default=-1)


def test_an_erasure_beside_sink_compaction_and_builds_loses_nothing_of_others(home):
    ended = threading.Event()

    def publish_on() -> None:
        while not ended.wait(0.3):
            home.publish(home.kept, 1)

    publisher = threading.Thread(target=publish_on)
    with home.run_beside(SINK, COMPACTION, ("transform", "--every", "1s")):
        publisher.start()
        try:
            home.run("forget", "--from-file", home.write_list(), "--yes")
        finally:
            ended.set()
            publisher.join()
    home.run("sink", "--until-drained")
    home.run("transform")
    assert_nothing_is_left(home)


def test_what_comes_back_of_a_forgotten_listener_is_dropped_and_counted(tmp_path):
    home = ForgetHome.make(tmp_path / "home", erased=2, kept=1)
    home.run("sink", "--until-drained")
    home.publish([*home.erased, *home.kept], 3)
    home.run("sink", "--until-drained")
    home.run("forget", *home.erased, "--yes")
    home.publish([*home.erased, *home.kept], 5)
    home.run("sink", "--until-drained")
    assert home.find_values() == []
    home.run("transform")
    assert home.read_check()["user_plays: log = bronze + rejected"]["parts"] == {
        "bronze": 8, "rejected": 0, "erased": 6, "records of forgotten listeners": 10,
    }  # fmt: skip
    home.run("forget", "--allow", home.erased[0])
    home.publish(home.erased, 1)
    home.run("sink", "--until-drained")
    assert len({line.split("'")[1] for line in home.find_values() if "bronze" in line}) == 1
