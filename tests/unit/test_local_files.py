"""Files are replaced as a whole or not at all; locks exclude other processes and end with their holder."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soundlake.local_files import hold_lock, replace_file, try_lock, write_file

HOLDER = """
import sys, time
from pathlib import Path
from soundlake.local_files import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from soundlake.local_files import replace_file
with replace_file(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@contextmanager
def start_holder(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock, and is killed at the end of the block at the latest."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read_mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("options", [{}, {"is_private": True}, {"sync": True}], ids=["plain", "private", "synced"])
def test_a_file_is_created_and_replaced_without_a_draft_left(tmp_path, options):
    path = tmp_path / "file.json"
    for text in ("first", "second: שלום"):
        write_file(path, text, **options)
        assert path.read_bytes() == text.encode()
    assert list_names(tmp_path) == ["file.json"]


def test_a_reader_sees_the_old_file_until_the_block_ends(tmp_path):
    path = tmp_path / "file"
    write_file(path, "old")
    with replace_file(path) as draft:
        draft.write_text("new")
        assert draft.parent == path.parent
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=["an error", "an interrupt"])
def test_a_failed_block_leaves_the_old_file_and_no_draft(tmp_path, error):
    path = tmp_path / "file"
    write_file(path, "old")

    def fail() -> None:
        with replace_file(path) as draft:
            draft.write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (path.read_text(), list_names(tmp_path)) == ("old", ["file"])


def test_a_block_that_writes_nothing_is_an_error_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_file(path, "old")
    with pytest.raises(FileNotFoundError), replace_file(path):
        pass
    assert path.read_text() == "old"


def test_a_killed_writer_leaves_the_old_file_and_the_next_one_replaces_its_draft(tmp_path):
    path = tmp_path / "file"
    write_file(path, "old")
    ended = subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(list_names(tmp_path)) == 2
    with replace_file(path) as draft:
        assert not draft.exists()
        draft.write_text("new")
    assert (path.read_text(), list_names(tmp_path)) == ("new", ["file"])


def test_a_private_file_has_mode_0600_from_its_first_byte_even_if_a_draft_was_left_open_to_all(tmp_path):
    path = tmp_path / "secret"
    umask = os.umask(0)
    try:
        with replace_file(path) as left:
            left.write_text("")
        assert read_mode(path) == 0o666
        left.write_text("left by a killed writer")
        with replace_file(path, is_private=True) as draft:
            assert (draft, read_mode(draft), draft.stat().st_size) == (left, 0o600, 0)
            draft.write_text("key")
            assert read_mode(draft) == 0o600
    finally:
        os.umask(umask)
    assert (path.read_text(), read_mode(path)) == ("key", 0o600)


def test_the_content_is_synced_before_the_file_is_replaced(tmp_path, monkeypatch):
    path, synced = tmp_path / "file", []

    def record_sync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", record_sync)
    write_file(path, "without")
    assert synced == []
    path.unlink()
    write_file(path, "12345", sync=True)
    assert synced == [(5, False)]


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "missing" / "file", "text")


def test_a_lock_is_free_again_after_its_block_and_after_an_error_in_it(tmp_path):
    lock = tmp_path / "folder" / "lock"

    def fail() -> None:
        with try_lock(lock) as is_ours:
            assert is_ours
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with hold_lock(lock):
        pass
    with try_lock(lock) as is_ours:
        assert is_ours


def test_a_lock_that_another_process_holds_is_not_taken_until_that_process_is_killed(tmp_path):
    lock = tmp_path / "lock"
    with start_holder(lock) as holder, try_lock(lock) as is_ours:
        assert not is_ours
        assert holder.poll() is None
    with try_lock(lock) as is_ours:
        assert is_ours


def test_a_waiting_thread_gets_the_lock_when_its_holder_is_killed(tmp_path):
    lock, taken = tmp_path / "lock", threading.Event()

    def wait_for_lock() -> None:
        with hold_lock(lock):
            taken.set()

    waiting = threading.Thread(target=wait_for_lock)
    with start_holder(lock):
        waiting.start()
        assert not taken.wait(0.2)
    waiting.join(30)
    assert taken.is_set()


def test_one_that_waits_takes_a_lock_that_is_free_for_a_tenth_of_a_second_now_and_then(tmp_path):
    lock, ended, is_held = tmp_path / "lock", threading.Event(), threading.Event()

    def take_again_and_again() -> None:
        while not ended.is_set():
            with hold_lock(lock):
                is_held.set()
                ended.wait(0.5)
            ended.wait(0.1)

    taker = threading.Thread(target=take_again_and_again)
    taker.start()
    try:
        assert is_held.wait(10)
        with try_lock(lock) as is_ours:
            assert not is_ours
        with try_lock(lock, 10) as is_ours:
            assert is_ours
    finally:
        ended.set()
        taker.join()


def test_a_lock_excludes_other_threads_of_the_same_process(tmp_path):
    lock = tmp_path / "lock"
    with hold_lock(lock), try_lock(lock) as is_ours:
        assert not is_ours


def test_the_file_of_a_lock_stays_so_that_all_processes_lock_the_same_file(tmp_path):
    lock = tmp_path / "lock"
    with hold_lock(lock):
        pass
    with lock.open() as opened, hold_lock(lock):  # open, so that its inode is not used again
        assert os.fstat(opened.fileno()).st_ino == lock.stat().st_ino
    assert lock.exists()
