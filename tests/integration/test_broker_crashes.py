"""Processes that append to one embedded log concurrently and are killed at random: nothing acknowledged is lost, nothing is torn."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.integration.broker_writer import make_value

from soundlake.broker import EmbeddedBroker
from soundlake.contract.topics import PLAYS

WRITER = Path(__file__).with_name("broker_writer.py")
ENDLESS = 10_000_000


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "broker.db"


class Writer:
    """A process that appends after `go`."""

    def __init__(self, path: Path, name: str, seed: int, records: int) -> None:
        command = [sys.executable, str(WRITER), str(path), name, str(seed), str(records)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._first = ""

    def go(self) -> None:
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def wait_for_first_append(self) -> None:
        self._first = self._process.stdout.readline()

    def kill(self) -> int:
        """SIGKILL; returns how many records were acknowledged before it."""
        self._process.send_signal(signal.SIGKILL)
        whole = [line for line in (self._first + self.read_rest()).splitlines(keepends=True) if line.endswith("\n")]
        return int(whole[-1].split()[0]) if whole else 0

    def read_rest(self) -> str:
        """The rest of its output, until it ends."""
        return self._process.communicate(timeout=240)[0]

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    def clean_up(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def make_writer(path):
    made = []

    def make(name: str, *, seed: int = 0, records: int = ENDLESS) -> Writer:
        made.append(Writer(path, name, seed, records))
        return made[-1]

    yield make
    for writer in made:
        writer.clean_up()


def read_values(path: Path) -> list[str]:
    """Every value; checks that offsets have no gap and that each value is whole."""
    broker = EmbeddedBroker(path)
    values = []
    for partition, held in broker.offsets(PLAYS.name).items():
        offset = 0
        while offset < held.end:
            records = broker.fetch(PLAYS.name, partition, offset, max_records=20_000, max_bytes=1 << 24)
            assert records.offsets.to_pylist() == list(range(offset, offset + len(records)))
            offset += len(records)
            for value in records.values.to_pylist():
                name, number = value.decode().split(":")[:2]
                assert value == make_value(name, int(number))
                values.append(f"{name}:{number}")
    assert broker._file._db.execute("pragma integrity_check").fetchall() == [("ok",)]
    broker.close()
    return values


def test_a_writer_killed_at_random_loses_nothing_acknowledged(path, make_writer):
    chance = random.Random(20240229)
    acknowledged = {}
    writers = [make_writer("run-0", seed=0)]
    for run in range(12):
        writers.append(make_writer(f"run-{run + 1}", seed=run + 1))  # the next one starts meanwhile
        writers[run].go()
        writers[run].wait_for_first_append()
        time.sleep(chance.uniform(0, 0.3))
        acknowledged[f"run-{run}"] = writers[run].kill()
    found = Counter(read_values(path))
    assert set(found.values()) == {1}
    for name, count in acknowledged.items():
        assert [number for number in range(count) if f"{name}:{number}" not in found] == []
    assert min(acknowledged.values()) > 0


def test_a_killed_writer_does_not_disturb_another_one(path, make_writer):
    survivor, *victims = (make_writer(name, seed=n, records=40_000) for n, name in enumerate(["survivor", "victim-1", "victim-2"]))
    survivor.go()
    survivor.wait_for_first_append()
    for victim in victims:
        victim.go()
        victim.wait_for_first_append()
        victim.kill()
    survivor.read_rest()
    assert survivor.exit_code == 0
    found = Counter(read_values(path))
    assert set(found.values()) == {1}
    assert sum(value.startswith("survivor:") for value in found) == 40_000


def test_two_writers_and_a_reader_share_a_file(path, make_writer):
    writers = [make_writer(name, seed=number, records=30_000) for number, name in enumerate(["left", "right"])]
    broker = EmbeddedBroker(path)
    broker.create_topics([PLAYS], partitions=3)
    for writer in writers:
        writer.go()
    seen: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
    give_up_at = time.monotonic() + 120
    while sum(map(len, seen.values())) < 60_000 and time.monotonic() < give_up_at:
        for partition, values in seen.items():
            values.extend(broker.fetch(PLAYS.name, partition, len(values), max_records=5_000, max_bytes=1 << 24).values.to_pylist())
    broker.close()
    for writer in writers:
        writer.read_rest()
    assert [writer.exit_code for writer in writers] == [0, 0]
    expected = Counter(make_value(name, number) for name in ("left", "right") for number in range(30_000))
    assert Counter(value for values in seen.values() for value in values) == expected


def test_processes_that_open_a_new_file_at_once_agree_on_its_id(path, make_writer):
    writers = [make_writer(f"writer-{n}", records=1) for n in range(4)]
    for writer in writers:
        writer.go()
    assert len({writer.read_rest().split()[1] for writer in writers}) == 1
    assert len(read_values(path)) == 4
