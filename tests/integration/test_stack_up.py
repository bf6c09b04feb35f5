"""The full stack by its commands, on free ports: up, status, kills, up again, restart, down."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import duckdb
import psutil
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from deltalake import DeltaTable
from tests.command_lines import read_command_lines
from tests.java_start import ONE_COMPILER
from tests.process_pause import pause_process, resume_process

from soundlake.operations.servers import find_free_block
from soundlake.operations.stack.monitoring import TARGETS_FILE
from soundlake.operations.stack.plan import DASHBOARD_HEALTH
from soundlake.settings import HOME_SETTINGS, load_settings
from soundlake.supervisor.run_file import ProcessId, read_run
from soundlake.warehouse import read_current_id
from soundlake.wiring import read_status

PROGRAM = [sys.executable, "-m", "soundlake.cli.app"]
TIMEOUT_SECONDS = 400
OPTIONS = ("--without", "stream", "--listeners", "100", "--days", "2", "--spotify")
"""Enough listeners that someone plays something each minute of the day, and the fake Spotify; no Spark, which has its own tests."""


class Deployment:
    """A home with its own ports, and the commands in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.stack = home / "stack"
        ports = {"KAFKA": find_free_block(), "OBJECT_STORE": find_free_block(), "REDIS": find_free_block(), "DASHBOARD": find_free_block()}
        ports["FAKE_SPOTIFY"] = find_free_block()
        self.environment = {
            **os.environ, "JDK_JAVA_OPTIONS": ONE_COMPILER, "SOUNDLAKE_HOME": str(home), "SOUNDLAKE_TRANSFORM_EVERY_SECONDS": "10",
            "SOUNDLAKE_DOWNLOADS": str(load_settings().servers.downloads), "SPOTIFY_CLIENT_ID": "",
            **{f"SOUNDLAKE_{name}_PORT": str(port) for name, port in ports.items()},
        }  # fmt: skip

    def run(self, *arguments: str, code: int = 0, read: str = "", **environment: str) -> str:
        """Run a command; returns its standard output, or its errors if it should fail, unless `read` names the stream."""
        done = subprocess.run(
            [*PROGRAM, *arguments], env={**self.environment, **environment}, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == code, done.stderr + done.stdout
        return getattr(done, read or ("stdout" if code == 0 else "stderr"))

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command without waiting for it."""
        return subprocess.Popen([*PROGRAM, *arguments], env=self.environment, stdout=subprocess.PIPE, text=True)

    def pid(self, name: str) -> int:
        return next(service.process.pid if service.process else 0 for service in read_run(self.stack).services if service.name == name)

    def ids(self) -> list[ProcessId]:
        record = read_run(self.stack)
        return [one for one in (record.supervisor, *(service.process for service in record.services)) if one is not None]

    def processes(self) -> list[psutil.Process]:
        return [found for one in self.ids() if (found := one.find()) is not None]

    def state_of(self, *names: str) -> set[str]:
        return {service.state.value for service in read_run(self.stack).services if service.name in names}

    def set_clock(self, topic: str, clock: str) -> None:
        """Set the timestamp type of a topic."""
        admin = AdminClient({"bootstrap.servers": load_settings(home=self.stack).kafka_access.servers})
        entry = ConfigEntry("message.timestamp.type", clock, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(30)

    def find_topics(self) -> dict[str, str]:
        """The doctor's finding on topics."""
        findings = json.loads(self.run("doctor", "--without", "stream", "--json"))["findings"]
        return next(finding for finding in findings if finding["name"] == "topics")

    def snapshot_id(self) -> str:
        return read_current_id(self.stack / "warehouse")

    def count_lag(self) -> int | None:
        """The sink's lag in records."""
        status = read_status(load_settings(home=self.stack))
        return next(service.lag_records for service in status.services if service.name == "sink")

    def count_stored(self) -> int:
        settings = load_settings(home=self.stack)
        table = DeltaTable("s3://spotify-data-lake/bronze/plays", storage_options=settings.storage_options)
        return table.count()

    def count_plays(self, listener: str = "%") -> int:
        snapshot = self.stack / "warehouse" / "snapshots" / "current.duckdb"
        if not snapshot.exists():
            return 0
        with duckdb.connect(str(snapshot), read_only=True) as db:
            return db.execute("select count(*) from silver.silver_plays where user_id like ?", [listener]).fetchone()[0]


@pytest.fixture(scope="module")
def deployment(kafka_jars, tmp_path_factory):
    deployment = Deployment(tmp_path_factory.mktemp("home"))
    yield deployment
    deployment.run("down")


def wait_for(condition, seconds: float = TIMEOUT_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def scrape(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return answer.read().decode()


def test_one_command_starts_the_pipeline_up_to_the_dashboard(deployment):
    with deployment.begin("up", *OPTIONS, "--json") as first:
        assert wait_for(lambda: read_run(deployment.stack) is not None)
        assert not read_run(deployment.stack).is_complete
        beside = json.loads(deployment.run("up", "--json"))
        record = json.loads(first.communicate(timeout=TIMEOUT_SECONDS)[0])
    assert beside["is_complete"]
    assert beside["supervisor"] == record["supervisor"]
    assert {service["state"] for service in beside["services"]} == {"running"}
    assert [service["name"] for service in record["services"]] == [
        "kafka", "object-store", "redis", "sink", "upkeep", "generator", "transform", "dashboard",
        "fake-spotify", "spotify-backfill", "spotify-poll",
    ]  # fmt: skip
    assert wait_for(lambda: deployment.snapshot_id() is not None)
    assert deployment.count_plays() > 0, "the first build did not wait for the first rows"
    dashboard = next(service for service in record["services"] if service["name"] == "dashboard")
    with urllib.request.urlopen(f"{dashboard['address']}{DASHBOARD_HEALTH}", timeout=10) as answer:
        assert (answer.status, answer.read()) == (200, b"ok")


def test_the_account_of_the_fake_spotify_is_collected_from_within_a_minute(deployment):
    assert wait_for(lambda: deployment.count_plays("fake-01") >= 50, 60)
    home = {"SOUNDLAKE_HOME": str(deployment.stack)}
    (account,) = json.loads(deployment.run("spotify", "status", "--json", **home))["accounts"]
    assert (account["listener"], account["health"], account["gaps"]) == ("fake-01", "well", [])


def test_a_second_up_changes_nothing(deployment):
    before = read_run(deployment.stack)
    deployment.run("up")
    assert read_run(deployment.stack).supervisor == before.supervisor
    assert "is up already" in deployment.run("up", "--foreground", code=2)


def test_status_has_the_state_of_each_service_and_its_addresses(deployment):
    shown = deployment.snapshot_id()
    status = json.loads(deployment.run("status", "--json"))
    services = {service["name"]: service for service in status["services"]}
    assert {service["state"] for service in services.values()} == {"running"}
    assert all(service["uptime_seconds"] > 0 and service["memory_bytes"] > 2**20 for service in services.values())
    assert status["snapshot"] in (shown, deployment.snapshot_id()), "neither the snapshot before nor the one after"
    assert services["sink"]["lag_records"] >= 0
    assert services["sink"]["fresh_seconds"] < 600
    assert services["transform"]["fresh_seconds"] < 600
    assert status["notes"] == []
    connections = {one["name"]: one for one in status["connections"]}
    assert {"broker", "lake", "cache", "warehouse", "dashboard", "metrics of sink"} <= connections.keys()
    assert connections["lake"]["keys"] == str(deployment.stack / HOME_SETTINGS)
    assert connections["broker"]["address"].startswith(f"{services['kafka']['address']} (Kafka bootstrap servers")


def test_the_exported_variables_reach_the_stack_from_outside(deployment):
    assert "--show-secrets" in deployment.run("status", "--env", code=2)
    lines = deployment.run("status", "--env", "--show-secrets")
    done = subprocess.run(
        ["sh", "-c", f"{lines}exec {sys.executable} -m soundlake.cli.app topics create --json"], env={"PATH": os.environ["PATH"]},
        cwd=deployment.home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {topic["created"] for topic in json.loads(done.stdout)["topics"]} == {False}


def test_each_process_offers_metrics_at_its_prometheus_target(deployment):
    targets = json.loads((deployment.stack / TARGETS_FILE).read_text())
    addresses = {target["labels"]["service"]: target["targets"][0] for target in targets}
    assert addresses.keys() == {
        "supervisor", "sink", "upkeep", "generator", "transform", "dashboard", "spotify-backfill", "spotify-poll",
    }  # fmt: skip
    for name, address in addresses.items():
        assert f'soundlake_process_info{{program="{name}"' in scrape(address)
    assert wait_for(lambda: re.search(r"soundlake_sink_delay_seconds_count\{.*\} [1-9]", scrape(addresses["sink"])))
    assert 'soundlake_published_events_total{result="acknowledged"}' in scrape(addresses["generator"])
    assert re.search(r'soundlake_transform_runs_total\{result="built"\} [1-9]', scrape(addresses["transform"]))
    assert re.search(r"soundlake_spotify_sign_in_days(\{.*\})? 18[12]", scrape(addresses["spotify-poll"]))
    assert 'soundlake_service_up{name="kafka"} 1.0' in scrape(addresses["supervisor"])


def test_secrets_are_in_private_files_and_on_no_command_line(deployment):
    secrets = [
        line.split("=", 1)[1] for line in (deployment.stack / HOME_SETTINGS).read_text().splitlines() if "SECRET" in line or "CACHE" in line
    ]
    assert len(secrets) == 2
    assert stat.S_IMODE((deployment.stack / HOME_SETTINGS).stat().st_mode) == 0o600
    command_lines = " ".join(read_command_lines(deployment.processes()))
    logged = "".join(path.read_text(errors="replace") for path in (deployment.stack / "logs").glob("*.log"))
    assert [secret for secret in secrets if secret in command_lines or secret in logged] == []


def test_one_service_is_restarted_by_name(deployment):
    before = {service.name: service.process for service in read_run(deployment.stack).services}
    assert "sink is running again" in deployment.run("restart", "sink")
    after = {service.name: service.process for service in read_run(deployment.stack).services}
    assert {name for name in before if before[name] != after[name]} == {"sink"}


def test_killed_services_are_restarted_and_resume(deployment):
    killed = ["kafka", "object-store", "sink"]
    before = {name: deployment.pid(name) for name in killed}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: deployment.state_of(*killed) == {"running"} and all(deployment.pid(name) != before[name] for name in killed))
    plays = deployment.count_stored()
    assert wait_for(lambda: deployment.count_stored() > plays)


def test_a_hung_server_is_reported_as_not_answering(deployment):
    pause_process(deployment.pid("redis"))
    try:
        assert wait_for(lambda: deployment.state_of("redis") == {"not answering"})
        status = json.loads(deployment.run("status", "--json", code=1, read="stdout"))
        assert not status["is_well"]
        assert [service["name"] for service in status["services"] if service["state"] == "not answering"] == ["redis"]
    finally:
        resume_process(deployment.pid("redis"))
    assert wait_for(lambda: deployment.state_of("redis") == {"running"})


def test_no_service_outlives_a_killed_supervisor_and_the_next_up_resumes(deployment):
    plays = deployment.count_plays()
    deployment.set_clock("user_likes", "CreateTime")
    deployment.processes()[0].kill()
    assert wait_for(lambda: deployment.processes() == [])
    assert "does not run" in deployment.run("status", code=1, read="stdout")
    output = deployment.run("up", *OPTIONS, read="stderr")
    assert "user_likes: message.timestamp.type is CreateTime, expected LogAppendTime" in output
    assert "soundlake topics create --repair" in output
    assert deployment.find_topics()["verdict"] == "lacking"
    deployment.run("topics", "create", "--repair", SOUNDLAKE_HOME=str(deployment.stack))
    assert deployment.find_topics()["verdict"] == "there"
    assert wait_for(lambda: deployment.count_plays() > plays)


def test_down_ends_everything_and_no_record_is_missing(deployment):
    pause_process(deployment.pid("generator"))
    assert wait_for(lambda: deployment.count_lag() == 0)
    assert json.loads(deployment.run("check", "--json", SOUNDLAKE_HOME=str(deployment.stack)))["ok"]
    resume_process(deployment.pid("generator"))  # a paused process ends only by SIGKILL, 20 s after SIGTERM
    left = deployment.ids()
    assert json.loads(deployment.run("down", "--json"))["ended"][:2] == ["kafka", "object-store"]
    assert [one for one in left if one.find()] == []
    assert "nothing runs" in deployment.run("down")
    assert deployment.count_plays() > 0


def test_a_taken_port_is_an_error_before_anything_starts(deployment):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"redis: port {port}" in deployment.run("up", *OPTIONS, code=1, SOUNDLAKE_REDIS_PORT=port)
        findings = json.loads(deployment.run("doctor", "--json", code=1, read="stdout", SOUNDLAKE_REDIS_PORT=port))["findings"]
    assert [(one["name"], one["remedy"]) for one in findings if one["verdict"] == "missing"] == [
        ("ports of redis", "stop the process that listens there, or set SOUNDLAKE_REDIS_PORT to another port")
    ]
    assert deployment.processes() == []
