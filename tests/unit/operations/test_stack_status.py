"""Status: what is written down, held against what is there."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from soundlake.errors import Unavailable
from soundlake.operations.stack.probes import read_positions
from soundlake.operations.stack.status import Signs, look
from soundlake.supervisor.run_file import ProcessId, RunRecord, ServiceRecord, State, write_run

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HERE = ProcessId.of(os.getpid())
NOBODY = ProcessId(pid=os.getpid(), begun=1.0)


@pytest.fixture
def write(tmp_path):
    def write_down(supervisor: ProcessId = HERE, **processes: ProcessId | None) -> None:
        since = NOW - timedelta(minutes=2)
        services = [
            ServiceRecord(
                name=name, state=State.WAITING if process is None else State.RUNNING, process=process, since=since, restarts=1,
                log=tmp_path / "log",
            )
            for name, process in processes.items()
        ]  # fmt: skip
        write_run(tmp_path, RunRecord(supervisor=supervisor, services=tuple(services), is_complete=True))

    return write_down


def test_a_running_service_has_an_age_and_memory(tmp_path, write):
    write(sink=HERE)
    status = look(tmp_path, "snapshot-1", {"sink": lambda: Signs(7, 1.5)}, NOW)
    service = status.services[0]
    assert (service.state, service.uptime_seconds, service.restarts, service.lag_records, service.fresh_seconds) == (
        "running",
        120,
        1,
        7,
        1.5,
    )
    assert service.memory_bytes > 2**20
    assert status.is_well
    assert status.as_json()["snapshot"] == "snapshot-1"


def test_a_service_that_waits_for_its_restart_is_not_well(tmp_path, write):
    write(sink=None)
    status = look(tmp_path, None, {}, NOW)
    assert (status.services[0].state, status.services[0].pid, status.is_well) == ("waiting", None, False)


def test_a_process_that_is_no_longer_the_one_written_down_is_gone(tmp_path, write):
    write(sink=NOBODY)
    assert look(tmp_path, None, {}, NOW).services[0].state == "gone"


def test_what_cannot_be_looked_at_is_said_and_does_not_hide_the_rest(tmp_path, write):
    def fail() -> Signs:
        raise Unavailable("the log does not answer")

    write(sink=HERE, transform=HERE)
    status = look(tmp_path, None, {"sink": fail, "transform": lambda: Signs(fresh_seconds=3)}, NOW)
    assert status.notes == ("sink: the log does not answer",)
    assert [service.fresh_seconds for service in status.services] == [None, 3]


def test_servers_of_a_supervisor_that_is_gone_are_not_asked(tmp_path, write):
    write(supervisor=NOBODY, sink=NOBODY)
    status = look(tmp_path, None, {"sink": lambda: pytest.fail("asked")}, NOW)
    assert not status.is_up


def test_a_home_in_which_nothing_ever_ran_has_no_services(tmp_path):
    status = look(tmp_path, None, {})
    assert (status.is_up, status.services, status.is_well) == (False, (), False)


def test_how_far_a_streaming_query_has_read_stands_in_its_checkpoint(tmp_path):
    assert read_positions(tmp_path) == {}
    for folder in ("offsets", "commits"):
        (tmp_path / folder).mkdir()
    for batch, offset in ((9, 100), (10, 250), (11, 400)):
        (tmp_path / "offsets" / str(batch)).write_text(f'v1\n{{"batchWatermarkMs":0}}\n{{"user_plays":{{"0":{offset},"1":7}}}}')
    (tmp_path / "commits" / ".10.crc").touch()
    assert read_positions(tmp_path) == {}
    for batch in (9, 10):
        (tmp_path / "commits" / str(batch)).write_text("v1\n{}")
    assert read_positions(tmp_path) == {"user_plays": {0: 250, 1: 7}}
