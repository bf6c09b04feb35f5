"""One opened snapshot for all sessions, answers computed once, and a new snapshot only once it is prepared."""

from __future__ import annotations

import os
import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection
from tests.unit.dashboard.snapshot_builder import publish_snapshot

from soundlake.dashboard.snapshot_follower import SnapshotFollower
from soundlake.dashboard.snapshot_reader import SnapshotReader
from soundlake.errors import DataError
from soundlake.warehouse.snapshot import open_snapshot, read_current_id


@pytest.fixture
def follower(tmp_path: Path) -> SnapshotFollower:
    return SnapshotFollower(tmp_path, open_snapshot, read_current_id)


def count_plays(cursor: DuckDBPyConnection) -> int:
    return cursor.execute("select count(*) from silver.silver_plays").fetchall()[0][0]


def wait_until(is_true) -> None:
    deadline = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_there_is_no_reader_before_the_first_snapshot(follower: SnapshotFollower) -> None:
    assert follower.get_reader() is None
    assert follower.is_newest(None)


def test_a_snapshot_is_opened_once(follower: SnapshotFollower, tmp_path: Path) -> None:
    publish_snapshot(tmp_path, "one", plays=10)
    reader = follower.get_reader()
    assert follower.get_reader() is reader
    assert follower.is_newest(reader)


def test_a_question_is_computed_once_for_the_same_terms(follower: SnapshotFollower, tmp_path: Path) -> None:
    publish_snapshot(tmp_path, "one", plays=10)
    asked: list[int] = []

    def question(cursor: DuckDBPyConnection, number: int) -> int:
        asked.append(number)
        return number

    reader = follower.get_reader()
    before = reader.questions_answered
    assert [reader.ask(question, 1), reader.ask(question, 1), reader.ask(question, 2)] == [1, 1, 2]
    assert asked == [1, 2]
    assert reader.questions_answered == before + 2


def test_the_time_of_the_build_survives_a_copy_of_the_home(tmp_path: Path) -> None:
    built_at = datetime(2026, 3, 1, 19, tzinfo=UTC)
    publish_snapshot(tmp_path / "home", "one", plays=10, built_at=built_at)
    shutil.copytree(tmp_path / "home", tmp_path / "copy", symlinks=True)
    for path in (tmp_path / "copy").rglob("*.duckdb"):
        os.utime(path)
    assert SnapshotReader(open_snapshot(tmp_path / "copy")).built_at == built_at


def test_a_started_follower_shows_a_new_snapshot_only_once_it_is_prepared(tmp_path: Path) -> None:
    publish_snapshot(tmp_path, "one", plays=10)
    may_go_on, prepared = threading.Event(), []

    def prepare(reader: SnapshotReader) -> None:
        if reader.snapshot_id != "one":
            assert may_go_on.wait(30)
        prepared.append(reader.snapshot_id)

    follower = SnapshotFollower(tmp_path, open_snapshot, read_current_id, prepare, seconds=0.01)
    follower.start()
    assert prepared == ["one"]
    first = follower.get_reader()
    publish_snapshot(tmp_path, "two", plays=20)
    time.sleep(0.1)
    assert follower.get_reader() is first
    may_go_on.set()
    wait_until(lambda: not follower.is_newest(first))
    assert prepared == ["one", "two"]
    assert follower.get_reader().ask(count_plays) == 20


def test_visitors_keep_the_snapshot_before_a_damaged_one_and_get_the_next(tmp_path: Path) -> None:
    publish_snapshot(tmp_path, "one", plays=10)
    follower = SnapshotFollower(tmp_path, open_snapshot, read_current_id, seconds=0.01)
    follower.start()
    damaged = publish_snapshot(tmp_path, "two", plays=20)
    damaged.write_bytes(b"not a database" * 1_000)
    time.sleep(0.1)
    assert follower.get_reader().ask(count_plays) == 10
    publish_snapshot(tmp_path, "three", plays=30)
    wait_until(lambda: follower.get_reader().ask(count_plays) == 30)


def test_a_damaged_first_snapshot_is_an_error_until_the_next(tmp_path: Path) -> None:
    publish_snapshot(tmp_path, "one", plays=10).write_bytes(b"not a database" * 1_000)
    follower = SnapshotFollower(tmp_path, open_snapshot, read_current_id, seconds=0.01)
    follower.start()
    with pytest.raises(DataError):
        follower.get_reader()
    publish_snapshot(tmp_path, "two", plays=20)
    wait_until(lambda: follower._reader is not None)
    assert follower.get_reader().ask(count_plays) == 20


def test_an_old_reader_answers_while_twenty_builds_are_published(follower: SnapshotFollower, tmp_path: Path) -> None:
    first = publish_snapshot(tmp_path, "build-0", plays=10)
    old = follower.get_reader()
    failures: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                reader = follower.get_reader()
                assert reader.ask(count_plays) == 10 + int(reader.snapshot_id.removeprefix("build-"))
            except Exception as error:  # noqa: BLE001  # any error fails the test
                failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for build in range(1, 21):
        path = publish_snapshot(tmp_path, f"build-{build}", plays=10 + build)
        for stale in sorted(path.parent.glob("build-*.duckdb"), key=lambda file: file.stat().st_mtime_ns)[:-3]:
            stale.unlink()
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert not first.exists()
    assert old.ask(count_plays) == 10
    assert follower.get_reader().ask(count_plays) == 30
