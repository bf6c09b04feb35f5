"""`soundlake stream` as `make up` runs it: on a lake in a bucket, kept by the supervisor whatever of it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from tests.command_lines import read_command_lines
from tests.integration.streaming_cases import STEP_SECONDS
from tests.java_start import ONE_COMPILER
from tests.process_pause import pause_process, resume_process
from tests.spark import make_java_options

from soundlake.operations.servers import find_free_block
from soundlake.settings import extend_environment, load_settings
from soundlake.supervisor.run_file import read_run

PROGRAM = (sys.executable, "-m", "soundlake.cli.app")
WITHOUT = ("transform", "dashboard")


class Stack:
    """A full stack without warehouse and dashboard, on free ports."""

    def __init__(self, home: Path, downloads: Path) -> None:
        self.home = home
        ports = {f"SOUNDLAKE_{name}_PORT": str(find_free_block()) for name in ("KAFKA", "OBJECT_STORE", "REDIS")}
        variables = {
            "SOUNDLAKE_HOME": str(home),
            "SOUNDLAKE_DOWNLOADS": str(downloads),
            "JDK_JAVA_OPTIONS": ONE_COMPILER,
            "JAVA_TOOL_OPTIONS": make_java_options(downloads / "spark"),
            **ports,
        }
        self._environment = extend_environment(variables)

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """What one command of this home prints; fails with what it complains of."""
        done = subprocess.run([*PROGRAM, *arguments], env=self._environment, capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode in codes, done.stderr + done.stdout
        return done.stdout

    @property
    def status(self) -> dict[str, object]:
        """What `soundlake status` says of the streaming job, whatever else is well."""
        services = json.loads(self.run("status", "--json", codes=(0, 1)))["services"]
        return next(service for service in services if service["name"] == "stream")

    @property
    def supervisor(self) -> psutil.Process:
        """What keeps all of it up."""
        found = read_run(self.home / "stack").supervisor.find()
        assert found is not None
        return found

    @property
    def job(self) -> psutil.Process | None:
        """The streaming job, if it runs."""
        return self.find("stream")

    def find(self, name: str) -> psutil.Process | None:
        """The process of a service, if it runs."""
        record = next(service for service in read_run(self.home / "stack").services if service.name == name)
        return None if record.process is None else record.process.find()

    def read(self, table: str) -> list[str]:
        """The ids in a table of plays of the lake; none while there is no table."""
        settings = load_settings(home=self.home / "stack")
        with suppress(TableNotFoundError):
            found = DeltaTable(f"s3://spotify-data-lake/{table}/plays", storage_options=settings.storage_options)
            return found.to_pyarrow_table(columns=["event_id"])["event_id"].to_pylist()
        return []


@pytest.fixture
def stack(kafka_jars, spark_jars, tmp_path) -> Iterator[Stack]:
    """Up with sixty listeners, down at the end."""
    opened = Stack(tmp_path, spark_jars.parent)
    leave_out = [word for name in WITHOUT for word in ("--without", name)]
    opened.run("up", *leave_out, "--listeners", "60", "--days", "2")
    yield opened
    opened.run("down")


def wait_for(condition: Callable[[], bool], missing: str) -> None:
    deadline = time.monotonic() + STEP_SECONDS
    while not condition():
        assert time.monotonic() < deadline, missing
        time.sleep(1)


def find_java(job: psutil.Process | None) -> psutil.Process | None:
    with suppress(psutil.Error):
        return None if job is None else next((child for child in job.children(recursive=True) if "java" in child.name()), None)
    return None


@pytest.mark.timeout(3_600)
def test_the_supervisor_restarts_the_job_and_each_event_is_stored_once(stack):
    wait_for(lambda: len(stack.read("processed")) > 0, "nothing was processed")
    command_lines = read_command_lines([stack.supervisor])
    secrets = [urlsplit(secret).password or secret for secret in load_settings(home=stack.home / "stack").secrets if secret]
    assert any("org.apache.spark" in line for line in command_lines)
    assert len(secrets) == 3, "the store's two keys and the password of Redis"
    assert [line for line in command_lines if any(secret in line for secret in secrets)] == []
    wait_for(lambda: stack.status["lag_records"] is not None, "its lag is not reported")
    assert stack.status["lag_records"] >= 0
    assert 0 <= stack.status["fresh_seconds"] < STEP_SECONDS
    for is_java in (True, False):
        job, stored = stack.job, len(stack.read("processed"))
        killed = find_java(job) if is_java else job
        assert job is not None
        assert killed is not None
        os.kill(killed.pid, signal.SIGKILL)
        wait_for(lambda before=job: stack.job not in (None, before) and find_java(stack.job) is not None, "the job was not started again")
        wait_for(lambda before=stored: len(stack.read("processed")) > before, "it does not go on")
    generator = stack.find("generator")
    assert generator is not None
    pause_process(generator.pid)  # ended it would be started again
    wait_for(lambda: set(stack.read("processed")) == set(stack.read("bronze")), "processed and bronze do not come to hold the same")
    processed = stack.read("processed")
    assert len(processed) == len(set(processed))
    resume_process(generator.pid)
