import errno
import os
import stat
import subprocess
import sys
import threading
import time

import duckdb
import pytest

from soundlake.errors import Unavailable
from soundlake.warehouse import open_snapshot, read_current_id
from soundlake.warehouse.build_lock import hold_build_lock
from soundlake.warehouse.publish import publish_snapshot, translate_disk_errors
from soundlake.warehouse.snapshot import is_published, read_published_at

WRITER = "import duckdb, sys; connection = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
PUBLISHER = """
import pathlib, resource, signal, sys
from soundlake.warehouse.publish import publish_snapshot
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
folder = pathlib.Path(sys.argv[1])
publish_snapshot(folder / "build.duckdb", folder, "id-2")
"""


def write_build(folder, number):
    folder.mkdir(exist_ok=True)
    (folder / "build.duckdb").unlink(missing_ok=True)
    with duckdb.connect(str(folder / "build.duckdb")) as connection:
        connection.execute(f"create table plays as select {number} as build from range(1000)")
    return folder / "build.duckdb"


def test_without_a_snapshot_the_error_says_what_to_run(tmp_path):
    assert read_current_id(tmp_path) is None
    with pytest.raises(Unavailable, match="soundlake transform"):
        open_snapshot(tmp_path)


def test_the_last_three_snapshots_stay_and_one_opened_before_stays_readable(tmp_path):
    publish_snapshot(write_build(tmp_path, 0), tmp_path, "id-0")
    with open_snapshot(tmp_path) as oldest:
        for number in range(1, 6):
            publish_snapshot(write_build(tmp_path, number), tmp_path, f"id-{number}")
        assert oldest.connection.execute("select min(build), count(*) from plays").fetchone() == (0, 1000)
    assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == [
        "current.duckdb", "id-3.duckdb", "id-4.duckdb", "id-5.duckdb",
    ]  # fmt: skip
    assert read_current_id(tmp_path) == "id-5"


def test_a_snapshot_is_read_only_and_in_utc(tmp_path):
    publish_snapshot(write_build(tmp_path, 0), tmp_path, "id-0")
    with open_snapshot(tmp_path) as snapshot:
        assert snapshot.connection.execute("select current_setting('TimeZone')").fetchone() == ("UTC",)
        with pytest.raises(duckdb.InvalidInputException):
            snapshot.connection.execute("drop table plays")


def test_the_next_publish_deletes_the_draft_of_a_killed_one(tmp_path):
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / ".id-0.duckdb.part").write_bytes(b"half")
    publish_snapshot(write_build(tmp_path, 1), tmp_path, "id-1")
    assert not list((tmp_path / "snapshots").glob(".*"))


def test_readers_open_during_eight_builds_see_whole_builds_only(tmp_path):
    publish_snapshot(write_build(tmp_path, 0), tmp_path, "id-00")
    stop, seen, errors = threading.Event(), set(), []

    def read():
        while not stop.is_set():
            try:
                with open_snapshot(tmp_path) as snapshot:
                    builds, rows = snapshot.connection.execute("select list(distinct build), count(*) from plays").fetchone()
                seen.add((snapshot.id, tuple(builds), rows))
            except Exception as error:  # noqa: BLE001  # whatever a reader meets is what the test must show
                errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 9):
        publish_snapshot(write_build(tmp_path, number), tmp_path, f"id-{number:02}")
        time.sleep(0.02)
    stop.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert len(seen) > 1
    assert all(rows == 1000 and builds == (int(name.removeprefix("id-")),) for name, builds, rows in seen)


def test_a_second_build_at_the_same_time_is_unavailable_and_names_the_process(tmp_path):
    with (
        hold_build_lock(tmp_path),
        pytest.raises(Unavailable, match=rf"another build is running \(process {os.getpid()}\)"),
        hold_build_lock(tmp_path),
    ):
        pass
    with hold_build_lock(tmp_path):
        pass


def test_a_publish_returns_the_path_of_a_complete_copy_and_keeps_the_build(tmp_path):
    build = write_build(tmp_path, 4)
    path = publish_snapshot(build, tmp_path, "id-4")
    assert path == tmp_path / "snapshots" / "id-4.duckdb"
    assert path.read_bytes() == build.read_bytes()
    assert (tmp_path / "snapshots" / "current.duckdb").readlink().as_posix() == "id-4.duckdb"


def test_a_snapshot_published_again_under_an_old_id_is_kept(tmp_path):
    for number in range(5, 0, -1):
        publish_snapshot(write_build(tmp_path, number), tmp_path, f"id-{number}")
    assert read_current_id(tmp_path) == "id-1"
    with open_snapshot(tmp_path) as snapshot:
        assert snapshot.id == "id-1"
        assert snapshot.path == tmp_path / "snapshots" / "id-1.duckdb"


def test_a_link_to_a_missing_file_is_unavailable_and_unpublished(tmp_path):
    publish_snapshot(write_build(tmp_path, 1), tmp_path, "id-1")
    assert is_published(tmp_path, "id-1")
    assert not is_published(tmp_path, "id-2")
    (tmp_path / "snapshots" / "id-1.duckdb").unlink()
    with pytest.raises(Unavailable, match="snapshot id-1 is current but its file is missing"):
        open_snapshot(tmp_path)
    assert not is_published(tmp_path, "id-1")


def test_without_a_snapshot_there_is_no_time_of_publishing(tmp_path):
    assert read_published_at(tmp_path) is None
    publish_snapshot(write_build(tmp_path, 1), tmp_path, "id-1")
    published = (tmp_path / "snapshots" / "id-1.duckdb").stat().st_mtime
    assert read_published_at(tmp_path).timestamp() == pytest.approx(published, abs=1e-5)


def test_a_closed_snapshot_answers_no_query(tmp_path):
    publish_snapshot(write_build(tmp_path, 1), tmp_path, "id-1")
    with open_snapshot(tmp_path) as snapshot:
        pass
    with pytest.raises(duckdb.ConnectionException):
        snapshot.connection.execute("select 1")


def test_a_snapshot_and_its_successor_are_published_with_mode_0444(tmp_path):
    for number in range(2):
        path = publish_snapshot(write_build(tmp_path, number), tmp_path, "id-1")
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert stat.S_IMODE((tmp_path / "build.duckdb").stat().st_mode) & stat.S_IWUSR


def test_a_snapshot_that_another_process_has_open_for_writing_is_locked_not_damaged(tmp_path):
    path = publish_snapshot(write_build(tmp_path, 1), tmp_path, "id-1")
    path.chmod(0o644)  # as one who owns the file can, and root need not
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(Unavailable, match=rf"another process has the snapshot open for writing: .*PID {writer.pid}") as caught:
            open_snapshot(tmp_path)
        assert "duckdb -readonly" in caught.value.next_step
        assert not is_published(tmp_path, "id-1")  # so that a transform publishes it again
        publish_snapshot(write_build(tmp_path, 2), tmp_path, "id-1")
        with open_snapshot(tmp_path) as snapshot:
            assert snapshot.connection.execute("select max(build) from plays").fetchone() == (2,)
    finally:
        writer.communicate(timeout=30)


def write_to_a_full_disk():
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123  # a device
        full.write(b"x")


def checkpoint_on_a_full_disk():
    raise duckdb.IOException(f"IO Error: Could not write file: {os.strerror(errno.ENOSPC)}")


@pytest.mark.parametrize("write", [write_to_a_full_disk, checkpoint_on_a_full_disk])
def test_a_full_disk_is_reported_as_the_sink_reports_it(tmp_path, write):
    with pytest.raises(Unavailable) as caught, translate_disk_errors(tmp_path):
        write()
    assert caught.value.message == f"{tmp_path}: the disk is full"
    assert caught.value.next_step.startswith("free some space and start again")


def test_other_errors_of_the_system_and_of_duckdb_are_raised_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError):
        publish_snapshot(tmp_path / "no build", tmp_path, "id-1")
    with pytest.raises(duckdb.IOException), translate_disk_errors(tmp_path):
        raise duckdb.IOException("IO Error: another")


def test_a_snapshot_that_cannot_be_written_keeps_the_one_before_and_leaves_no_draft(tmp_path):
    publish_snapshot(write_build(tmp_path, 1), tmp_path, "id-1")
    done = subprocess.run([sys.executable, "-c", PUBLISHER, tmp_path], capture_output=True, text=True, check=False)
    assert f"Unavailable: {tmp_path / 'snapshots'}: a file may not grow further" in done.stderr
    assert read_current_id(tmp_path) == "id-1"
    assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == ["current.duckdb", "id-1.duckdb"]
