"""The file of the embedded broker: durability, and the errors of files that cannot be used."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path

import pytest
from tests.unit.broker.broker_contract import read_all

from soundlake.broker import EmbeddedBroker
from soundlake.broker.embedded.sqlite_schema import LAYOUT
from soundlake.contract.topics import PLAYS
from soundlake.errors import DataError, SoundlakeError, Unavailable, UsageError


@pytest.fixture
def open_log(tmp_path):
    opened = []

    def open_one(path: Path = tmp_path / "broker.db") -> EmbeddedBroker:
        opened.append(EmbeddedBroker(path))
        opened[-1].create_topics([PLAYS], partitions=1)
        return opened[-1]

    yield open_one
    for broker in opened:
        broker.close()


def values_of(broker):
    return [value for _, _, value in read_all(broker, PLAYS.name)[0]]


def test_appended_records_are_read_after_reopening_the_file(open_log):
    first = open_log()
    first.append(PLAYS.name, [b"ann"], [b"1"])
    log_id = first.log_id(PLAYS.name)
    first.close()
    second = open_log()
    second.append(PLAYS.name, [b"ann"], [b"2"])
    assert values_of(second) == [b"1", b"2"]
    assert second.log_id(PLAYS.name) == log_id


def test_a_file_created_again_has_a_new_id(open_log, tmp_path):
    first = open_log()
    log_id = first.log_id(PLAYS.name)
    first.close()
    (tmp_path / "broker.db").unlink()
    assert open_log().log_id(PLAYS.name) != log_id


def test_missing_folders_are_created(open_log, tmp_path):
    open_log(tmp_path / "a" / "b" / "broker.db")
    assert (tmp_path / "a" / "b" / "broker.db").exists()


def test_every_commit_is_synced_to_the_disk(open_log):
    db = open_log()._file._db
    assert db.execute("pragma synchronous").fetchone() == (2,)
    assert db.execute("pragma journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("count", [10_001, 25_000])
def test_an_append_larger_than_a_transaction_is_stored_completely(open_log, count):
    broker = open_log()
    values = [b"%d" % n for n in range(count)]
    assert broker.append(PLAYS.name, [b"ann"] * count, values).acknowledged == count
    assert values_of(broker) == values


def test_one_fetch_spans_several_appends(open_log):
    broker = open_log()
    for start in range(0, 30, 10):
        broker.append(PLAYS.name, [b"ann"] * 10, [b"%d" % n for n in range(start, start + 10)])
    records = broker.fetch(PLAYS.name, 0, 5, max_records=16, max_bytes=1 << 20)
    assert records.offsets.to_pylist() == list(range(5, 21))


def test_an_append_of_many_bytes_is_committed_in_several_transactions(open_log):
    broker = open_log()
    values = [bytes([n]) * 900_000 for n in range(80)]
    assert broker.append(PLAYS.name, [None] * 80, values).acknowledged == 80
    assert broker._file._db.execute("select count(*) from batches").fetchone()[0] == 3
    assert values_of(broker) == values


def test_threads_can_share_one_broker(open_log):
    broker = open_log()

    def append(name: bytes) -> None:
        for number in range(50):
            broker.append(PLAYS.name, [name], [b"%s-%d" % (name, number)])

    threads = [threading.Thread(target=append, args=(b"thread-%d" % n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(values_of(broker)) == sorted(b"thread-%d-%d" % (n, m) for n in range(4) for m in range(50))


def test_several_brokers_that_open_a_new_file_at_once_agree_on_its_id(tmp_path):
    for number in range(10):
        path = tmp_path / f"broker-{number}.db"
        barrier = threading.Barrier(4)
        ids = []

        def open_at_once(path=path, barrier=barrier, ids=ids) -> None:
            barrier.wait()
            broker = EmbeddedBroker(path)
            broker.create_topics([PLAYS], partitions=2)
            ids.append((broker.log_id(PLAYS.name), tuple(broker.partitions(PLAYS.name))))
            broker.close()

        threads = [threading.Thread(target=open_at_once) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ids) == 4
        assert len(set(ids)) == 1


def test_the_space_of_trimmed_records_is_reused(open_log, tmp_path):
    broker = open_log()
    sizes = []
    for _ in range(12):
        broker.append(PLAYS.name, [b"ann"] * 1000, [b"x" * 3000] * 1000)
        broker.trim(PLAYS.name, {0: broker.offsets(PLAYS.name)[0].end})
        broker._file._db.execute("pragma wal_checkpoint(truncate)")
        sizes.append((tmp_path / "broker.db").stat().st_size)
    assert sizes[-1] < 2 * sizes[0]


def test_a_file_that_is_no_database_is_named_and_unchanged(open_log, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("a shopping list, " * 500)
    with pytest.raises(DataError, match=r"notes\.txt is not an event log") as caught:
        open_log(path)
    assert "SOUNDLAKE_BROKER" in caught.value.next_step
    assert path.read_text() == "a shopping list, " * 500


def test_another_application_s_database_is_named_and_unchanged(open_log, tmp_path):
    path = tmp_path / "photos.db"
    with sqlite3.connect(path) as db:
        db.execute("create table photos (name text)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"photos\.db is an SQLite file, but not an event log"):
        open_log(path)
    assert path.read_bytes() == before


def test_a_file_of_another_layout_is_named_with_both_numbers(open_log, tmp_path):
    open_log().close()
    with sqlite3.connect(tmp_path / "broker.db") as db:
        db.execute(f"pragma user_version = {LAYOUT + 1}")
    db.close()
    with pytest.raises(DataError, match=f"layout {LAYOUT + 1}; this version of Soundlake reads layout {LAYOUT}"):
        open_log()


def test_a_damaged_file_is_named(open_log, tmp_path):
    broker = open_log()
    broker.append(PLAYS.name, [b"ann"] * 500, [b"x" * 300] * 500)
    broker.close()
    content = bytearray((tmp_path / "broker.db").read_bytes())
    content[8192:] = b"\x00" * (len(content) - 8192)
    (tmp_path / "broker.db").write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        open_log()


def test_a_folder_that_cannot_be_created_is_named(open_log, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/deep, the folder of the event log, cannot be created"):
        open_log(tmp_path / "file" / "deep" / "broker.db")


@pytest.fixture
def protected_folder():
    """A folder that this user can read and not write to; a superuser becomes another user meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="soundlake-protected-"))
    folder.chmod(0o555)
    is_superuser = os.geteuid() == 0
    if is_superuser:
        os.seteuid(65534)
    yield folder
    if is_superuser:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder_is_named(open_log, protected_folder):
    with pytest.raises(UsageError, match=r"broker\.db cannot be opened for writing") as caught:
        open_log(protected_folder / "broker.db")
    assert f"make {protected_folder} a folder this user may write to" in caught.value.next_step


def test_a_file_moved_while_open_accepts_no_more_records(open_log, tmp_path):
    broker = open_log()
    (tmp_path / "broker.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(DataError, match="moved, deleted or replaced while it was open"):
        broker.append(PLAYS.name, [b"ann"], [b"1"])
    open_log()
    with pytest.raises(DataError, match="restart this program"):
        broker.offsets(PLAYS.name)


def fill_up(broker: EmbeddedBroker, spare_pages: int) -> None:
    """Let the file grow by so many pages at most: beyond that, SQLite reports a full disk."""
    (pages,) = broker._file._db.execute("pragma page_count").fetchone()
    broker._file._db.execute(f"pragma max_page_count = {pages + spare_pages}")


def test_a_full_disk_is_named_and_nothing_is_half_appended(open_log):
    broker = open_log()
    broker.append(PLAYS.name, [b"ann"], [b"1"])
    fill_up(broker, spare_pages=4)
    with pytest.raises(Unavailable, match=r"no space left for the event log .*broker\.db") as caught:
        broker.append(PLAYS.name, [b"ann"] * 100, [b"x" * 10_000] * 100)
    assert "free some space" in caught.value.next_step
    assert values_of(broker) == [b"1"]


def test_appends_work_again_when_there_is_space(open_log):
    broker = open_log()
    fill_up(broker, spare_pages=1)
    with pytest.raises(Unavailable):
        broker.append(PLAYS.name, [b"ann"], [b"x" * 100_000])
    fill_up(broker, spare_pages=1000)
    assert broker.append(PLAYS.name, [b"ann"], [b"x" * 100_000]).acknowledged == 1
    assert values_of(broker) == [b"x" * 100_000]


def test_when_the_disk_fills_up_during_an_append_the_delivery_says_what_is_in_the_log(open_log):
    broker = open_log()
    fill_up(broker, spare_pages=150)
    values = [b"%05d" % n + b"x" * 95 for n in range(25_000)]
    delivery = broker.append(PLAYS.name, [b"ann"] * 25_000, values)
    assert sorted(delivery.failed) == list(range(10_000, 25_000))
    assert "no space left" in delivery.failed[10_000]
    assert values_of(broker) == values[:10_000]


@pytest.fixture
def limit_file_size():
    """Limit the size of every file of this process: the system then fails SQLite's writes with an I/O error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_records_of_a_failed_commit_are_unsure_and_later_ones_have_failed(open_log, limit_file_size):
    broker = open_log()
    limit_file_size(2_500_000)
    values = [b"%05d" % n + b"x" * 95 for n in range(35_000)]
    delivery = broker.append(PLAYS.name, [b"ann"] * 35_000, values)
    limit_file_size(resource.RLIM_INFINITY)
    assert sorted(delivery.unsure) == list(range(20_000, 30_000))
    assert sorted(delivery.failed) == list(range(30_000, 35_000))
    assert "not tried after" in delivery.failed[30_000]
    assert "may be in it or not" in delivery.unsure[20_000]
    assert broker.append(PLAYS.name, [b"ann"], [b"after"]).acknowledged == 1
    assert values_of(broker) in ([*values[:20_000], b"after"], [*values[:30_000], b"after"])


def test_every_error_of_the_file_says_what_to_do_next(open_log, tmp_path):
    (tmp_path / "notes.txt").write_text("not a database at all, but long enough to look like one " * 20)
    with pytest.raises(SoundlakeError) as caught:
        open_log(tmp_path / "notes.txt")
    assert "→" in str(caught.value)
