"""The report of a reconciliation as JSON, and as `soundlake check` prints it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import typer
from typer.testing import CliRunner

from soundlake import wiring
from soundlake.cli.check import run_check
from soundlake.reconciliation import Check, CheckReport, Freshness

app = typer.Typer()
app.command()(run_check)

FRESH = Freshness(datetime(2026, 2, 28, tzinfo=UTC), "20260228T120000Z", datetime(2026, 2, 28, 12, tzinfo=UTC), 1234.5, 12_000, 7)
OK = Check("user_plays: log = bronze + rejected", 12_345, 12_345, {"bronze": 12_000, "rejected": 345})
WRONG = Check("no record is stored twice", 0, 2, {"user_plays": 2})


def make_report(*checks, freshness=FRESH) -> CheckReport:
    return CheckReport(checks, {"duration_positive": 3}, {}, {"not_json": 345}, freshness)


@pytest.fixture
def run(monkeypatch):
    """Runs `soundlake check` on that report."""

    def run_command(report, *arguments, columns=120):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(wiring, "check_everything", lambda _settings, _reporter: report)
        return CliRunner().invoke(app, arguments)

    return run_command


@pytest.mark.parametrize(("checks", "ok", "exit_code"), [((OK,), True, 0), ((OK, WRONG), False, 3), ((), True, 0)])
def test_one_mismatch_makes_the_report_and_the_exit_code_wrong(run, checks, ok, exit_code):
    report = make_report(*checks)
    assert report.ok is ok
    result = run(report, "--json")
    assert result.exit_code == exit_code
    found = json.loads(result.stdout)
    assert (found["ok"], [check["ok"] for check in found["checks"]]) == (ok, [check.ok for check in checks])


def test_numbers_have_a_comma_between_thousands(run):
    lines = run(make_report(OK)).stdout.splitlines()
    assert "user_plays: log = bronze + rejected  ok (bronze 12,000, rejected 345)" in [
        " ".join(line.rsplit("  ", 0)).strip() for line in lines
    ]
    assert "records waiting in the log  12,000" in [line.strip() for line in lines]
    assert "age of the snapshot         1,234.5 s" in [line.strip() for line in lines]


def test_a_mismatch_shows_both_counts(run):
    output = run(make_report(OK, WRONG)).stdout
    assert "Checks: 1 of 2 FAILED" in output
    assert "FAILED: expected 0, found 2 (user_plays 2)" in output


def test_without_a_build_the_freshness_is_unknown(run):
    output = run(make_report(OK, freshness=Freshness(None, None, None, None, 0, 0))).stdout
    lines = [line.split() for line in output.splitlines()]
    assert ["newest", "row", "in", "bronze", "none"] in lines
    assert ["age", "of", "the", "snapshot", "unknown"] in lines
    assert "None" not in output


@pytest.mark.parametrize("columns", [80, 200])
def test_the_names_of_checks_stay_on_one_line(run, columns):
    lines = run(make_report(OK, WRONG), columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("user_plays: log = bronze + rejected  ok") for line in lines)
