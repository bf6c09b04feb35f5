"""`soundlake forget` and `soundlake spotify disconnect`: what they ask and refuse. tests/integration has what they do."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from soundlake.cli.app import app
from soundlake.errors import UsageError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDLAKE_HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str, given: str | None = None):
    return CliRunner().invoke(app, [*arguments], input=given)


@pytest.mark.parametrize("arguments", [("anna",), ("anna", "--json")])
def test_without_a_terminal_nothing_is_deleted_unless_it_is_said(arguments, home):
    refused = run("forget", *arguments)
    assert isinstance(refused.exception, UsageError)
    assert "--yes" in str(refused.exception)
    assert not (home / "erasure").exists()


def test_a_listener_must_be_named():
    assert "no listener is named" in str(run("forget", "--yes").exception)
    assert "name the account" in str(run("spotify", "disconnect", "--yes").exception)
    assert "cannot be read" in str(run("forget", "--from-file", "/nowhere/list", "--yes").exception)


def test_a_dry_run_shows_the_plan_and_deletes_nothing(home):
    done = run("forget", "anna", "--dry-run", "--json")
    assert json.loads(done.stdout) == {"accounts": [], "found": {}, "kept": []}
    assert "nothing was found" in run("forget", "anna", "--dry-run").stdout
    assert not (home / "erasure").exists()


def test_listeners_come_from_arguments_and_a_file_and_the_receipt_counts_them(home):
    done = run("forget", "anna", "--from-file", "-", "--yes", "--json", given="ben\n\n carl \nanna\n")
    receipt = json.loads(done.stdout)
    assert (done.exit_code, len(receipt["listeners"]), receipt["deleted"]) == (0, 3, {"tombstones": 3})
    assert (home / "erasure" / "receipts" / f"{receipt['id']}.json").exists()


def test_a_forgotten_listener_is_allowed_again():
    run("forget", "anna", "--yes")
    assert json.loads(run("forget", "anna", "ben", "--allow", "--json").stdout) == {"allowed": ["anna"]}
    assert json.loads(run("forget", "anna", "--allow", "--json").stdout) == {"allowed": []}
    assert isinstance(run("forget", "anna", "--allow", "--dry-run").exception, UsageError)
