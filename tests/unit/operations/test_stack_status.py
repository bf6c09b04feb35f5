"""Status: the run file compared with the processes that exist."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from soundlake.errors import Unavailable
from soundlake.operations.stack.probes import read_positions
from soundlake.operations.stack.status import WorkStatus, build_status
from soundlake.supervisor import ProcessId, RunRecord, ServiceRecord, State

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HERE = ProcessId.of(os.getpid())
NOBODY = ProcessId(pid=os.getpid(), begun=1.0)


@pytest.fixture
def make_record(tmp_path):
    def make(supervisor: ProcessId = HERE, **processes: ProcessId | None) -> RunRecord:
        since = NOW - timedelta(minutes=2)
        services = [
            ServiceRecord(
                name=name, state=State.WAITING if process is None else State.RUNNING, process=process, since=since, restarts=1,
                log=tmp_path / "log",
            )
            for name, process in processes.items()
        ]  # fmt: skip
        return RunRecord(supervisor=supervisor, services=tuple(services), is_complete=True)

    return make


def test_a_running_service_has_uptime_and_memory(tmp_path, make_record):
    probes = {"sink": lambda: WorkStatus(7, 1.5)}
    status = build_status(tmp_path, make_record(sink=HERE), snapshot="snapshot-1", probes=probes, now=NOW)
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


def test_a_service_that_waits_for_its_restart_is_not_running(tmp_path, make_record):
    status = build_status(tmp_path, make_record(sink=None), now=NOW)
    assert (status.services[0].state, status.services[0].pid, status.is_well) == ("waiting", None, False)


def test_a_service_whose_process_ended_unnoticed_is_gone(tmp_path, make_record):
    assert build_status(tmp_path, make_record(sink=NOBODY), now=NOW).services[0].state == "gone"


def test_a_failed_probe_becomes_a_note_and_the_others_still_run(tmp_path, make_record):
    def fail() -> WorkStatus:
        raise Unavailable("the broker does not answer")

    probes = {"sink": fail, "transform": lambda: WorkStatus(fresh_seconds=3)}
    status = build_status(tmp_path, make_record(sink=HERE, transform=HERE), probes=probes, now=NOW)
    assert status.notes == ("sink: the broker does not answer",)
    assert [service.fresh_seconds for service in status.services] == [None, 3]


def test_probes_do_not_run_without_a_supervisor(tmp_path, make_record):
    record = make_record(supervisor=NOBODY, sink=NOBODY)
    status = build_status(tmp_path, record, probes={"sink": lambda: pytest.fail("the probe ran")}, now=NOW)
    assert not status.is_up


def test_a_home_without_a_run_file_has_no_services(tmp_path):
    status = build_status(tmp_path, None)
    assert (status.is_up, status.services, status.is_well) == (False, (), False)


def test_the_next_offsets_of_a_streaming_query_come_from_its_checkpoint(tmp_path):
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
