"""The shape of the code: sizes, who imports what, who reads the environment, what the documents name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
LONGEST_FILE = 250
LONGEST_FUNCTION = 50
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "new", "old"}

# Over the size at which one thinks again, each with the reason why it stays whole.
LARGER_FILES: dict[str, str] = {}
LARGER_FUNCTIONS: dict[str, str] = {
    "src/soundlake/cli/generate.py:run_generate": "its options are its signature, a line each",
    "src/soundlake/generator/model/listeners.py:make_listeners": "a line a trait of a listener: one list to read, no steps",
}

ONLY_IN = {
    "deltalake": ("src/soundlake/lake/",),
    "confluent_kafka": ("src/soundlake/broker/kafka/",),
    "pyspark": ("src/soundlake/streaming/",),
    "prometheus_client": ("src/soundlake/telemetry/",),
    "redis": ("src/soundlake/cache/",),
    "sqlite3": ("src/soundlake/broker/",),
    "streamlit": ("src/soundlake/dashboard/",),
    "dbt": ("src/soundlake/warehouse/",),
    "typer": ("src/soundlake/cli/",),
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_roots(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_no_file_is_longer_than_a_reader_can_hold_without_a_reason():
    over = {relative(path) for path in SOURCES if len(path.read_text().splitlines()) > LONGEST_FILE}
    assert over == set(LARGER_FILES)


def test_no_function_is_longer_than_a_screen_without_a_reason():
    over = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION:
                over.add(f"{relative(path)}:{node.name}")
    assert over == set(LARGER_FUNCTIONS)


def test_no_file_has_a_name_that_says_nothing():
    assert not [relative(path) for path in SOURCES if set(path.stem.split("_")) & FORBIDDEN_NAMES]


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_in_its_room_only(library):
    strangers = [
        relative(path)
        for path in SOURCES
        if library in imported_roots(ast.parse(path.read_text())) and not relative(path).startswith(ONLY_IN[library])
    ]
    assert strangers == []


def test_only_settings_reads_the_environment():
    readers = [relative(path) for path in SOURCES if re.search(r"\bos\.(environ|getenv|putenv)\b", path.read_text())]
    assert {str(Path(reader).parent) for reader in readers} == {"src/soundlake/settings"}


def test_every_setting_stands_in_the_example():
    from soundlake.settings import list_variables

    example = (ROOT / ".env.example").read_text()
    names = set(list_variables())
    assert {name for name in names if not re.search(rf"^#?\s*{name}=", example, re.MULTILINE)} == set()
    assert set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]+)=", example, re.MULTILINE)) == names
