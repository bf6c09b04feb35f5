"""`soundlake status`: readable in a narrow terminal, secrets only on a terminal or on request."""

from __future__ import annotations

import os
import pty
from contextlib import redirect_stdout
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from soundlake.cli.app import app
from soundlake.cli.status import run_status
from soundlake.errors import UsageError
from soundlake.settings import HOME_SETTINGS
from soundlake.supervisor import ProcessId, RunRecord, ServiceRecord, State
from soundlake.supervisor.run_file import write_run

SECRET = "the secret key"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs `soundlake status …` in a terminal of that width; returns the result."""
    monkeypatch.setenv("SOUNDLAKE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments: str, columns: int = 80):
        monkeypatch.setenv("COLUMNS", str(columns))
        return CliRunner().invoke(app, ["status", *arguments])

    return run_command


@pytest.fixture
def stack(tmp_path) -> None:
    """A stack whose record and settings are there, and whose processes have ended."""
    home = tmp_path / "stack"
    home.mkdir()
    (home / HOME_SETTINGS).write_text(f"SOUNDLAKE_LAKE=s3://bucket\nAWS_ACCESS_KEY_ID=SLKEY\nAWS_SECRET_ACCESS_KEY='{SECRET}'\n")
    ended = ProcessId(pid=os.getpid(), begun=1.0)
    services = [("object-store", "http://127.0.0.1:8333"), ("transform", None), ("dashboard", "http://127.0.0.1:8501")]
    write_run(home, RunRecord(supervisor=ended, services=tuple(
        ServiceRecord(name=name, state=State.RUNNING, process=ended, since=datetime.now(UTC), restarts=12, log=home / "log", address=url)
        for name, url in services
    )))  # fmt: skip


def join_lines(text: str) -> str:
    return text.replace("\n", "").replace(" ", "")


def test_an_embedded_home_has_addresses_and_prints_its_variables_without_a_flag(run, tmp_path):
    shown = run()
    assert shown.exit_code == 1
    assert "nothing runs in" in shown.stdout
    assert str(tmp_path / "broker.db") in join_lines(shown.stdout)
    exports = run("--env")
    assert exports.exit_code == 0
    assert f"export SOUNDLAKE_LAKE=file://{tmp_path}/lake\n" in exports.stdout


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_table_has_one_line_per_service_that_fits_the_terminal_and_no_secret(run, stack, columns):
    shown = run(columns=columns)
    assert shown.exit_code == 1
    tables = shown.stdout[: shown.stdout.index("lag in records")]
    assert max(map(len, tables.splitlines())) <= columns
    rows = [line.split()[:2] for line in tables.splitlines() if " gone " in line]
    assert rows == [["object-store", "gone"], ["transform", "gone"], ["dashboard", "gone"]]
    assert "keysofthelake" in join_lines(tables)
    assert HOME_SETTINGS in join_lines(tables)
    assert SECRET not in shown.stdout


def test_secrets_are_not_printed_into_a_pipe_without_the_flag(run, stack):
    refused = run("--env")
    assert (refused.exception.exit_code, refused.stdout) == (2, "")
    assert "--show-secrets" in str(refused.exception)
    shown = run("--env", "--show-secrets")
    assert (shown.exit_code, f"export AWS_SECRET_ACCESS_KEY='{SECRET}'" in shown.stdout) == (0, True)
    assert isinstance(run("--show-secrets").exception, UsageError)


def test_secrets_are_printed_on_a_terminal(run, stack):
    run()  # in the home of the stack
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal, redirect_stdout(terminal):
        run_status(env=True)
        terminal.flush()
        shown = os.read(reader, 65_536).decode()
    os.close(reader)
    assert f"export AWS_SECRET_ACCESS_KEY='{SECRET}'" in shown
