"""What infra/monitoring holds parses, asks for metrics that exist, and every alarm has a chapter in the runbook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from soundlake.operations.stack.monitoring import TARGETS_FILE
from soundlake.operations.stack.plan import FOLDER
from soundlake.telemetry import Telemetry

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "infra" / "monitoring"
RUNBOOK = ROOT / "docs" / "runbook.md"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
OWN = re.compile(r"\bsoundlake_\w+\b")


def list_metrics() -> dict[str, set[str]]:
    """Every metric of ours by name, with the names of its series."""
    telemetry = Telemetry("test")
    for watch in (
        telemetry.watch_publisher, telemetry.watch_feed, telemetry.watch_sink, telemetry.watch_builds, telemetry.watch_queries,
        telemetry.watch_pages,
    ):  # fmt: skip
        watch()
    telemetry.watch_services(list)
    families = [family for family in telemetry.registry.collect() if family.name.startswith("soundlake_")]
    return {family.name: {family.name + suffix for suffix in SUFFIXES[family.type]} for family in families}


def list_rules() -> list[dict]:
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def list_panels() -> list[dict]:
    return json.loads((MONITORING / "grafana-dashboard.json").read_text())["panels"]


def list_expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in list_rules())
    yield from (target["expr"] for panel in list_panels() for target in panel.get("targets", []))


def list_anchors(document: Path) -> list[str]:
    """The headings of the second level, as links name them."""
    headings = re.findall(r"^## (.+)$", document.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_dashboard_and_alarms_ask_for_metrics_that_exist():
    known = set().union(*list_metrics().values())
    asked = {name for expression in list_expressions() for name in OWN.findall(expression)}
    assert asked - known == set()


def test_every_metric_is_looked_at_somewhere():
    asked = {name for expression in list_expressions() for name in OWN.findall(expression)}
    assert {name for name, series in list_metrics().items() if not series & asked} == set()


def test_every_alarm_says_what_it_is_how_urgent_and_leads_to_its_chapter():
    anchors = list_anchors(RUNBOOK)
    for rule in list_rules():
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / path, anchor) == (RUNBOOK, rule["alert"].lower())
        assert anchor in anchors
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


def test_the_runbook_has_a_chapter_for_each_alarm_and_each_only_once():
    chapters = [anchor for anchor in list_anchors(RUNBOOK) if anchor in {rule["alert"].lower() for rule in list_rules()}]
    assert sorted(chapters) == sorted({rule["alert"].lower() for rule in list_rules()})


def test_panels_have_a_place_of_their_own_and_a_description():
    panels = list_panels()
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["type"] == "row" or panel["description"]


def test_prometheus_finds_the_rules_and_the_list_that_a_stack_writes():
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    assert all((MONITORING / name).is_file() for name in config["rule_files"])
    [job] = config["scrape_configs"]
    [listing] = job["file_sd_configs"][0]["files"]
    assert (MONITORING / listing).resolve() == ROOT / ".soundlake" / FOLDER / TARGETS_FILE
    assert job["job_name"] == "soundlake"


@pytest.mark.parametrize("name", ["alerts.yml", "alerts_test.yml", "prometheus.yml"])
def test_nothing_but_this_machine_is_asked(name):
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", (MONITORING / name).read_text())) <= {"127.0.0.1"}
