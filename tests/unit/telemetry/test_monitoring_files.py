"""The files of infra/monitoring: they parse, use existing metrics and labels, and every alert has tests and a section in the runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from tests.unit.telemetry.test_spotify_metrics import make_spotify_status

from soundlake.contract import TOPICS
from soundlake.dashboard.pages import discover_pages
from soundlake.operations.stack.monitoring import TARGETS_FILE
from soundlake.operations.stack.plan import FOLDER, plan_stack
from soundlake.settings import Settings
from soundlake.streaming.job import READS
from soundlake.streaming.progress import QueryProgress
from soundlake.telemetry import Telemetry
from soundlake.telemetry.service_metrics import ServiceSample
from soundlake.warehouse import TransformReport

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "infra" / "monitoring"
PROMTOOL = shutil.which("promtool")
RUNBOOK = ROOT / "docs" / "runbook.md"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
OWN = re.compile(r"\bsoundlake_\w+\b")
ANY = re.compile(r"\b(?:soundlake|process)_\w+\b|\bup\b")
SELECTOR = re.compile(r"(\w+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
OPEN_LABELS = {"instance", "partition", "model", "le"}
"""Labels whose values are not from a fixed list."""
SERVICES = plan_stack(Settings(_env_file=None, home=Path("/nowhere"), broker="", lake="", cache=""), (), has_spotify=True)


@pytest.fixture(scope="module")
def telemetry() -> Telemetry:
    """The metrics of every kind of process, each with a series of its own."""
    telemetry = Telemetry("test")
    for watch in (telemetry.watch_publisher, telemetry.watch_feed, telemetry.watch_upkeep):
        watch()
    sink = telemetry.watch_sink()
    for topic in TOPICS:
        sink.record_lag(topic.name, {0: 1})
    telemetry.watch_builds().record_build(TransformReport("id", True, (), {}, {"plays": 1}, {"plays": 1.0}, 1.0))
    queries = telemetry.watch_queries(READS)
    for query, topics in READS.items():
        queries.record_progress(QueryProgress(query, datetime.now(UTC), 1, 1.0, 1, dict.fromkeys(topics, 0)))
    pages = [page.path for page in discover_pages()]
    watched = telemetry.watch_pages(pages)
    for page in pages:
        watched.record_snapshot(page, datetime.now(UTC))
    services = [service.name for service in (*SERVICES.servers, *SERVICES.services)]
    telemetry.watch_songs()
    telemetry.watch_spotify(lambda: make_spotify_status(datetime.now(UTC)))
    telemetry.watch_services(lambda: [ServiceSample(name, True, 0, 0.0, 1, 1.0) for name in services])
    return telemetry


@pytest.fixture(scope="module")
def metrics(telemetry: Telemetry) -> dict[str, set[str]]:
    """Every metric of ours by name, with the names of its series."""
    families = [family for family in telemetry.registry.collect() if family.name.startswith("soundlake_")]
    return {family.name: {family.name + suffix for suffix in SUFFIXES[family.type]} for family in families}


@pytest.fixture(scope="module")
def labels(telemetry: Telemetry) -> dict[str, dict[str, set[str]]]:
    """The labels of each series with the values that the code sets, and those that Prometheus adds."""
    target = {"job": {"soundlake"}, "service": set(SERVICES.metrics_ports), "instance": set[str]()}
    found: dict[str, dict[str, set[str]]] = {"up": dict(target)}
    for sample in (sample for family in telemetry.registry.collect() for sample in family.samples):
        known = found.setdefault(sample.name, defaultdict(set, target))
        for label, value in sample.labels.items():
            known[label].add(value)
    return found


def find_unknown(expressions: Iterable[str], labels: dict[str, dict[str, set[str]]]) -> list[str]:
    """Find the matchers and groupings of the expressions that fit no series."""
    unknown = []
    for expression in expressions:
        for name, matchers in SELECTOR.findall(expression):
            for label, operator, value in MATCHER.findall(matchers):
                known = labels[name].get(label)
                is_met = known is not None and (
                    label in OPEN_LABELS
                    or any(re.fullmatch(value, one) if "~" in operator else value == one for one in known)
                )  # fmt: skip
                if not is_met:
                    unknown.append(f"{name}{{{label}{operator}{value}}}")
        has = {label for name in ANY.findall(expression) for label in labels[name]}
        named = {label.strip() for group in GROUPING.findall(expression) for label in group.split(",") if label.strip()}
        unknown += [f"{label} in {expression}" for label in named - has]
    return unknown


def list_rules() -> list[dict]:
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def list_cases() -> list[dict]:
    return yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]


def list_panels() -> list[dict]:
    return json.loads((MONITORING / "grafana-dashboard.json").read_text())["panels"]


def list_expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in list_rules())
    yield from (target["expr"] for panel in list_panels() for target in panel.get("targets", []))


def list_anchors(document: Path) -> list[str]:
    """The headings of the second level, as links name them."""
    headings = re.findall(r"^## (.+)$", document.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_dashboard_and_alerts_use_existing_metrics(metrics):
    known = set().union(*metrics.values())
    asked = {name for expression in list_expressions() for name in OWN.findall(expression)}
    assert asked - known == set()


def test_every_metric_is_used_in_the_dashboard_or_an_alert(metrics):
    asked = {name for expression in list_expressions() for name in OWN.findall(expression)}
    assert {name for name, series in metrics.items() if not series & asked} == set()


def test_dashboard_and_alerts_use_existing_labels(labels):
    assert find_unknown(list_expressions(), labels) == []


@pytest.mark.parametrize(
    "expression",
    [
        'rate(soundlake_published_events_total{result!="acknowleged"}[5m])',
        'soundlake_stream_state_rows{query=~"proc.*d|lve", topic="user_plays"}',
        "sum by (subject) (soundlake_sink_lag_records)",
        'up{job="soundlake", service="snk"}',
    ],
    ids=["a value", "a label", "a grouping", "a service"],
)
def test_a_wrong_label_is_found(expression, labels):
    assert len(find_unknown([expression], labels)) == 1


def test_legends_and_summaries_use_existing_labels(labels):
    texts = [(rule["expr"], rule["annotations"]["summary"], r"\$labels\.(\w+)") for rule in list_rules()]
    texts += [
        (target["expr"], target["legendFormat"], r"\{\{\s*(\w+)\s*\}\}") for panel in list_panels() for target in panel.get("targets", [])
    ]
    for expression, text, form in texts:
        assert set(re.findall(form, text)) <= {label for name in ANY.findall(expression) for label in labels[name]}, text


def test_the_tests_of_alerts_use_existing_series(labels):
    series = [entry["series"] for test in list_cases() for entry in test["input_series"] if 'job="other"' not in entry["series"]]
    assert {re.match(r"\w+", one)[0] for one in series} <= labels.keys()
    assert find_unknown(series, labels) == []


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not():
    tried = defaultdict(set)
    for case in (case for test in list_cases() for case in test["alert_rule_test"]):
        tried[case["alertname"]].add(bool(case["exp_alerts"]))
    assert tried == {rule["alert"]: {True, False} for rule in list_rules()}


@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml"),
        ("check", "config", "prometheus.yml"), ("check", "config", "prometheus-compose.yml"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_promtool_accepts_the_files_and_the_tests_of_alerts_pass(command):
    if PROMTOOL is None:
        pytest.skip("no `promtool` on the path; infra/setup/system_packages.sh brings it")
    done = subprocess.run([PROMTOOL, *command], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_summary_a_severity_and_a_section_of_the_runbook():
    anchors = list_anchors(RUNBOOK)
    for rule in list_rules():
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / path, anchor) == (RUNBOOK, rule["alert"].lower())
        assert anchor in anchors
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


def test_the_runbook_has_a_section_for_each_alert_and_each_only_once():
    sections = [anchor for anchor in list_anchors(RUNBOOK) if anchor in {rule["alert"].lower() for rule in list_rules()}]
    assert sorted(sections) == sorted({rule["alert"].lower() for rule in list_rules()})


def test_panels_do_not_overlap_and_have_a_description():
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


def test_both_configurations_of_prometheus_have_the_same_alerts_and_job():
    own, beside = (yaml.safe_load((MONITORING / name).read_text()) for name in ("prometheus.yml", "prometheus-compose.yml"))
    assert [own[key] for key in ("global", "rule_files")] == [beside[key] for key in ("global", "rule_files")]
    assert [config["scrape_configs"][0]["job_name"] for config in (own, beside)] == ["soundlake", "soundlake"]


def test_prometheus_reads_the_rules_and_the_targets_that_a_stack_writes():
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    assert all((MONITORING / name).is_file() for name in config["rule_files"])
    [job] = config["scrape_configs"]
    [listing] = job["file_sd_configs"][0]["files"]
    assert (MONITORING / listing).resolve() == ROOT / ".soundlake" / FOLDER / TARGETS_FILE
    assert job["job_name"] == "soundlake"


@pytest.mark.parametrize("name", ["alerts.yml", "alerts_test.yml", "prometheus.yml", "prometheus-compose.yml"])
def test_only_addresses_of_this_machine_are_used(name):
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", (MONITORING / name).read_text())) <= {"127.0.0.1"}
