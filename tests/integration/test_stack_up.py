"""The full stack by its two commands, on free ports: up, used, killed, up again, down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import psutil
import pytest

from soundlake.operations.run_file import read_run
from soundlake.operations.servers import find_free_block
from soundlake.settings import load_settings

PROGRAM = [sys.executable, "-m", "soundlake.cli.app"]
FIRST_LOOK_SECONDS = 180


class Deployment:
    """A home with ports of its own, and the commands in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.stack = home / "stack"
        ports = {"KAFKA": find_free_block(), "OBJECT_STORE": find_free_block(), "REDIS": find_free_block(), "DASHBOARD": find_free_block()}
        self.environment = {
            **os.environ, "SOUNDLAKE_HOME": str(home), "SOUNDLAKE_TRANSFORM_EVERY_SECONDS": "5",
            "SOUNDLAKE_DOWNLOADS": str(load_settings().downloads), **{f"SOUNDLAKE_{name}_PORT": str(port) for name, port in ports.items()},
        }  # fmt: skip

    def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        done = subprocess.run(
            [*PROGRAM, *arguments], env={**self.environment, **environment}, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout if code == 0 else done.stderr

    def pid(self, name: str) -> int:
        return next(service.process.pid for service in read_run(self.stack).services if service.name == name)

    def processes(self) -> list[psutil.Process]:
        record = read_run(self.stack)
        return [found for one in (record.supervisor, *(service.process for service in record.services)) if (found := one.find())]

    def count_plays(self) -> int:
        snapshot = self.stack / "warehouse" / "snapshots" / "current.duckdb"
        if not snapshot.exists():
            return 0
        with duckdb.connect(str(snapshot), read_only=True) as db:
            return db.execute("select count(*) from silver.silver_plays").fetchone()[0]


@pytest.fixture(scope="module")
def deployment(kafka_jars, tmp_path_factory):
    deployment = Deployment(tmp_path_factory.mktemp("home"))
    yield deployment
    deployment.run("down")


def wait_for(condition, seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def test_one_command_brings_listening_onto_the_dashboard(deployment):
    begun = time.monotonic()
    record = json.loads(deployment.run("up", "--listeners", "60", "--days", "2", "--json"))
    assert [service["name"] for service in record["services"]] == [
        "kafka", "object-store", "redis", "sink", "generator", "transform", "dashboard",
    ]  # fmt: skip
    assert wait_for(lambda: deployment.count_plays() > 0, FIRST_LOOK_SECONDS)
    assert time.monotonic() - begun < FIRST_LOOK_SECONDS
