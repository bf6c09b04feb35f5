"""Documents name only paths, commands and make targets that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TOP_FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")} | {".ci", ".github"}


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text) + re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module", params=DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def document(request) -> Path:
    return request.param


def test_every_path_in_a_document_exists(document):
    named = {span.split(":")[0].rstrip("/") for span in re.findall(r"`([\w./-]+/[\w./-]*)`", document.read_text())}
    inside = {name for name in named if name.split("/")[0] in TOP_FOLDERS}
    assert sorted(name for name in inside if not (ROOT / name).exists()) == []


def test_every_link_in_a_document_leads_somewhere(document):
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", document.read_text())
    assert sorted(link for link in links if not (document.parent / link).exists()) == []


def test_every_make_target_in_a_document_exists(document):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for span in code_spans(document.read_text()) for word in re.findall(r"(?:^|\s)make ([a-z-]+)", span)}
    assert named - targets == set()


def test_every_command_in_a_document_exists(document):
    from soundlake.cli.app import app

    group = get_command(app)
    known = set(group.commands)
    spans = code_spans(document.read_text())
    named = {word for span in spans for word in re.findall(r"(?:^|\s|/)soundlake(?: --debug)? ([a-z][a-z-]*)", span)}
    assert named - known == set()
    for name in named:
        inner = getattr(group.commands[name], "commands", None)
        if inner:
            subcommands = {word for span in spans for word in re.findall(rf"soundlake {name} ([a-z][a-z-]*)", span)}
            assert subcommands - set(inner) == set()
