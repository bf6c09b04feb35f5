"""`soundlake status`: readable in a narrow terminal, secrets only on a terminal or on request."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from soundlake.settings import HOME_SETTINGS, extend_environment
from soundlake.supervisor import ProcessId, RunRecord, ServiceRecord, State
from soundlake.supervisor.run_file import write_run

PROGRAM = [sys.executable, "-m", "soundlake.cli.app", "status"]
SECRET = "the secret key"


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    return extend_environment({"SOUNDLAKE_HOME": str(tmp_path), "COLUMNS": "80"})


@pytest.fixture
def stack(tmp_path) -> None:
    """A stack whose record and settings are there, and whose processes have ended."""
    home = tmp_path / "stack"
    home.mkdir()
    (home / HOME_SETTINGS).write_text(f"SOUNDLAKE_LAKE=s3://bucket\nAWS_ACCESS_KEY_ID=SLKEY\nAWS_SECRET_ACCESS_KEY='{SECRET}'\n")
    ended = ProcessId(pid=os.getpid(), begun=1.0)
    services = [("object-store", "http://127.0.0.1:8333"), ("transform", None), ("dashboard", "http://127.0.0.1:8501")]
    write_run(home, RunRecord(supervisor=ended, services=tuple(
        ServiceRecord(name=name, state=State.RUNNING, process=ended, since=datetime.now(UTC), restarts=12, log=home / "x.log", address=address)
        for name, address in services
    )))  # fmt: skip


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], env=environment, cwd=environment["SOUNDLAKE_HOME"], capture_output=True, text=True, check=False
    )


def test_an_embedded_home_has_addresses_and_prints_its_variables_without_a_flag(environment, tmp_path):
    shown = run(environment)
    assert shown.returncode == 1
    assert "nothing runs in" in shown.stdout
    assert str(tmp_path / "broker.db") in shown.stdout.replace("\n", "").replace(" ", "")
    exports = run(environment, "--env")
    assert (exports.returncode, exports.stderr) == (0, "")
    assert f"export SOUNDLAKE_LAKE=file://{tmp_path}/lake\n" in exports.stdout


def test_a_table_of_80_columns_has_one_line_per_service_and_no_secret(environment, stack):
    shown = run(environment)
    assert shown.returncode == 1
    lines = shown.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines if "home" not in line and "/" not in line)
    (row,) = (line for line in lines if line.startswith("object-store"))
    assert row.split()[:2] == ["object-store", "gone"]
    assert row.endswith("http://127.0.0.1:8333")
    assert SECRET not in shown.stdout
    assert HOME_SETTINGS in shown.stdout.replace("\n", "").replace(" ", "")


def test_secrets_are_not_printed_into_a_pipe_without_the_flag(environment, stack):
    refused = run(environment, "--env")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--show-secrets" in refused.stderr
    shown = run(environment, "--env", "--show-secrets")
    assert (shown.returncode, f"export AWS_SECRET_ACCESS_KEY='{SECRET}'" in shown.stdout) == (0, True)
    assert run(environment, "--show-secrets").returncode == 2


def test_secrets_are_printed_on_a_terminal(environment, stack):
    reader, writer = pty.openpty()
    done = subprocess.run([*PROGRAM, "--env"], env=environment, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    shown = os.read(reader, 65_536).decode()
    os.close(reader)
    assert (done.returncode, SECRET in shown) == (0, True)
