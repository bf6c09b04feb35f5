"""What SQLite is asked for, and what its errors become."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tenacity import stop_after_attempt

from soundlake.broker.embedded.sqlite_errors import BUSY_SECONDS, CommitUnsure, translate_error
from soundlake.broker.embedded.sqlite_file import LogFile, _commit
from soundlake.broker.embedded.sqlite_schema import _switch_to_wal
from soundlake.errors import DataError, Unavailable, UsageError

PATH = Path("/data/broker.db")


def make_error(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind("SQLite's own words")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind", "message", "next_step"),
    [
        (sqlite3.SQLITE_FULL, Unavailable, "no space left", "free some space on the disk of /data"),
        (sqlite3.SQLITE_BUSY, Unavailable, "for 30 s", "end that process"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Unavailable, "for 30 s", "end that process"),
        (sqlite3.SQLITE_LOCKED, Unavailable, "for 30 s", "end that process"),
        (sqlite3.SQLITE_NOTADB, DataError, "is not an event log", "SOUNDLAKE_BROKER"),
        (sqlite3.SQLITE_CORRUPT, DataError, "is damaged", "restore it"),
        (sqlite3.SQLITE_CANTOPEN, UsageError, "cannot be opened for writing", "make /data a folder"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, UsageError, "cannot be opened for writing", "make /data a folder"),
        (sqlite3.SQLITE_PERM, UsageError, "cannot be opened for writing", "make /data a folder"),
        (sqlite3.SQLITE_IOERR_WRITE, Unavailable, "cannot be used now", "check the disk of /data"),
    ],
)
def test_each_result_code_has_its_error_and_next_step(code, kind, message, next_step):
    error = translate_error(make_error(code), PATH)
    assert type(error) is kind
    assert message in error.message
    assert "/data/broker.db" in error.message
    assert next_step in error.next_step


def test_an_error_without_a_result_code_is_unavailable():
    assert type(translate_error(sqlite3.ProgrammingError("closed"), PATH)) is Unavailable


class FailingConnection:
    """Fails with the given errors, one a statement, then answers."""

    def __init__(self, *errors: sqlite3.Error, answer: str = "wal") -> None:
        self.errors, self.answer = list(errors), answer

    def execute(self, _statement):
        if self.errors:
            raise self.errors.pop(0)
        return self

    def fetchone(self):
        return (self.answer,)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT])
def test_a_commit_without_space_or_lock_wrote_nothing(code):
    with pytest.raises(Unavailable):
        _commit(FailingConnection(make_error(code)), PATH)


def test_any_other_failure_of_a_commit_leaves_it_unsure():
    with pytest.raises(CommitUnsure, match="may be in it or not") as caught:
        _commit(FailingConnection(make_error(sqlite3.SQLITE_IOERR_FSYNC)), PATH)
    assert "duplicate" in caught.value.next_step


def test_the_journal_mode_waits_for_another_process_that_opens_the_file():
    connection = FailingConnection(make_error(sqlite3.SQLITE_BUSY), make_error(sqlite3.SQLITE_BUSY))
    _switch_to_wal(connection, PATH)
    assert connection.errors == []


def test_the_journal_mode_gives_up_with_sqlite_s_error_after_the_time_of_a_lock():
    busy = make_error(sqlite3.SQLITE_BUSY)
    with pytest.raises(sqlite3.OperationalError, match="own words"):
        _switch_to_wal.retry_with(stop=stop_after_attempt(3))(FailingConnection(busy, busy, busy), PATH)
    assert _switch_to_wal.retry.stop.max_delay == BUSY_SECONDS == 30


@pytest.mark.parametrize("error", [make_error(sqlite3.SQLITE_IOERR), make_error(sqlite3.SQLITE_BUSY, sqlite3.DatabaseError)])
def test_the_journal_mode_retries_nothing_else(error):
    connection = FailingConnection(error)
    with pytest.raises(type(error)):
        _switch_to_wal(connection, PATH)


def test_a_file_system_without_a_write_ahead_log_is_refused():
    with pytest.raises(UsageError, match="cannot keep a write-ahead log"):
        _switch_to_wal(FailingConnection(answer="delete"), PATH)


def test_a_new_file_is_an_event_log_of_layout_1_tuned_for_appends(tmp_path):
    file = LogFile(tmp_path / "broker.db")
    names = ("application_id", "user_version", "page_size", "journal_mode", "synchronous", "wal_autocheckpoint", "journal_size_limit")
    with file.read() as db:
        found = {name: db.execute(f"pragma {name}").fetchone()[0] for name in names}
    assert found == {
        "application_id": int.from_bytes(b"SLOG", "big"), "user_version": 1, "page_size": 8_192, "journal_mode": "wal", "synchronous": 2,
        "wal_autocheckpoint": 4_096, "journal_size_limit": 64 * 1024 * 1024,
    }  # fmt: skip
    file.close()


def fail_in_transaction(file: LogFile, statement: str) -> None:
    with file.write() as db:
        db.execute(statement)
        raise KeyError("the first error")


@pytest.mark.parametrize("statement", ["insert into log values ('another id')", "rollback"], ids=["open", "rolled back already"])
def test_a_transaction_that_fails_is_rolled_back_and_the_first_error_is_raised(tmp_path, statement):
    file = LogFile(tmp_path / "broker.db")
    with pytest.raises(KeyError, match="the first error"):
        fail_in_transaction(file, statement)
    with file.read() as db:
        assert db.execute("select count(*) from log").fetchone() == (1,)
    file.close()
