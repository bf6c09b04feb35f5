"""compose.yaml compared with the project, without a container engine; its syntax was checked with the validator of compose-go."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SECRETS = {"OBJECT_STORE_ACCESS_KEY", "OBJECT_STORE_SECRET_KEY", "REDIS_PASSWORD"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_has_a_version(name):
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-[\w.]+)?", SERVICES[name]["image"])


def test_only_what_people_look_at_can_be_reached_and_only_from_this_machine():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"dashboard": ["127.0.0.1:8501:8501"], "prometheus": ["127.0.0.1:9090:9090"]}


def test_prometheus_asks_every_service_that_stays_where_it_offers_its_metrics():
    staying = {name: service["environment"] for name, service in OURS.items() if service["restart"] == "unless-stopped"}
    assert {environment["SOUNDLAKE_METRICS_HOST"] for environment in staying.values()} == {"0.0.0.0"}
    config = yaml.safe_load((ROOT / COMPOSE["configs"]["prometheus"]["file"]).read_text())
    [job] = config["scrape_configs"]
    asked = {(target, group["labels"]["service"]) for group in job["static_configs"] for target in group["targets"]}
    assert asked == {(f"{name}:{environment['SOUNDLAKE_METRICS_PORT']}", name) for name, environment in staying.items()}
    mounted = {config["target"]: ROOT / COMPOSE["configs"][config["source"]]["file"] for config in SERVICES["prometheus"]["configs"]}
    assert {f"/etc/prometheus/{name}" for name in config["rule_files"]} <= mounted.keys()
    assert all(path.is_file() for path in mounted.values())
    assert any(f"--config.file={target}" in SERVICES["prometheus"]["command"] for target in mounted)


@pytest.mark.parametrize("name", OURS)
def test_every_service_of_ours_runs_a_command_that_exists(name):
    from soundlake.cli.app import app

    first, *rest = OURS[name]["command"]
    command = get_command(app).commands[first]
    known = {option for parameter in command.params for option in parameter.opts} | set(getattr(command, "commands", ()))
    subcommand = getattr(command, "commands", {}).get(rest[0]) if rest else None
    known |= {option for parameter in getattr(subcommand, "params", ()) for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known


def test_every_service_of_up_is_there(tmp_path):
    from soundlake.operations.stack import plan_stack
    from soundlake.settings import Settings

    stack = plan_stack(Settings(_env_file=None, home=tmp_path, broker="", lake="", cache=""), ())
    assert {service.name for service in (*stack.servers, *stack.services)} <= SERVICES.keys()


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name):
    from soundlake.settings import list_variables

    known = set(list_variables())
    assert set(OURS[name]["environment"]) <= known


def test_what_services_wait_for_mount_and_read_is_declared():
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= SERVICES.keys()
        assert {volume.split(":")[0] for volume in service.get("volumes", ())} <= COMPOSE["volumes"].keys()
        assert {config["source"] for config in service.get("configs", ())} <= COMPOSE["configs"].keys()


def test_no_secret_has_a_default():
    text = (ROOT / "compose.yaml").read_text()
    named = re.findall(r"\$\{(\w+)([^}]*)\}", text)
    assert {name for name, _ in named} == SECRETS
    assert all(rest in ("", ":?set it in .env") for _, rest in named)
    assert {name for name, rest in named if rest} == SECRETS
