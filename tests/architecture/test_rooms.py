"""The shape of the code: sizes, file names, who reads the environment. import-linter checks who imports what."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
LONGEST_FILE = 250
LONGEST_FUNCTION = 50
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "new", "old"}

# Over the limit, each with the reason why it is not split.
LARGER_FILES: dict[str, str] = {}
LARGER_FUNCTIONS: dict[str, str] = {
    "src/soundlake/cli/generate.py:run_generate": "its options are its signature, a line each",
    "src/soundlake/generator/model/listeners.py:make_listeners": "a line a trait of a listener: one list to read, no steps",
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


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


def test_only_settings_reads_the_environment():
    readers = [relative(path) for path in SOURCES if re.search(r"\bos\.(environ|getenv|putenv)\b", path.read_text())]
    assert {str(Path(reader).parent) for reader in readers} == {"src/soundlake/settings"}


def test_every_setting_is_in_the_example():
    from soundlake.settings import list_variables

    example = (ROOT / ".env.example").read_text()
    names = set(list_variables())
    assert {name for name in names if not re.search(rf"^#?\s*{name}=", example, re.MULTILINE)} == set()
    assert set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]+)=", example, re.MULTILINE)) == names
