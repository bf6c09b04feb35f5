"""One opened snapshot for all, answers computed once, and no trace of a build in between."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection
from tests.unit.dashboard.snapshot_builder import publish_snapshot

from soundlake.dashboard.snapshot_reader import SnapshotFollower
from soundlake.warehouse.snapshot import open_snapshot, read_current_id


@pytest.fixture
def readers(tmp_path: Path) -> SnapshotFollower:
    return SnapshotFollower(tmp_path, open_snapshot, read_current_id)


def count_plays(cursor: DuckDBPyConnection) -> int:
    return cursor.execute("select count(*) from silver.silver_plays").fetchall()[0][0]


def test_there_is_no_reader_before_the_first_snapshot(readers: SnapshotFollower) -> None:
    assert readers.open_newest() is None


def test_a_snapshot_is_opened_once(readers: SnapshotFollower, tmp_path: Path) -> None:
    publish_snapshot(tmp_path, "one", plays=10)
    assert readers.open_newest() is readers.open_newest()


def test_a_question_is_computed_once_for_the_same_terms(readers: SnapshotFollower, tmp_path: Path) -> None:
    publish_snapshot(tmp_path, "one", plays=10)
    asked: list[int] = []

    def question(cursor: DuckDBPyConnection, number: int) -> int:
        asked.append(number)
        return number

    reader = readers.open_newest()
    assert [reader.ask(question, 1), reader.ask(question, 1), reader.ask(question, 2)] == [1, 1, 2]
    assert asked == [1, 2]


def test_an_old_reader_goes_on_answering_while_twenty_builds_are_published(readers: SnapshotFollower, tmp_path: Path) -> None:
    first = publish_snapshot(tmp_path, "build-0", plays=10)
    old = readers.open_newest()
    failures: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                reader = readers.open_newest()
                assert reader.ask(count_plays) == 10 + int(reader.snapshot_id.removeprefix("build-"))
            except Exception as error:  # noqa: BLE001  # whatever a reader meets is what this test is about
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
    assert readers.open_newest().ask(count_plays) == 30
