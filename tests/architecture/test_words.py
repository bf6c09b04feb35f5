"""The prose is plain English of the field: words of a private dialect that was once here do not come back."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = (
    "anew", "befall", "befalls", "befell", "blows?", "by (?:itself|themselves)", "company for", "go(?:es)? on where", "held against",
    "holds? (?:it )?against", "larger kin", "lets? go", "lay(?:s|ing)? open", "mend(?:s|ed|ing)?", "puts? up with", "reckon(?:s|ed|ing)?",
    "shall", "sittings?", "stands?(?! (?:alone|out|for))", "stood", "strikes?", "taken for a stranger", "tells?",
    "the (?:same )?road", "told",
    "would be refused again", "patience", "whoever",
)  # fmt: skip
"""What a stranger stopped at; each a pattern of whole words, in any case."""
FORBIDDEN = re.compile(rf"\b(?:{'|'.join(WORDS)})\b", re.IGNORECASE)

PYTHON = sorted(path for top in ("src", "tests", "bench", "dbt") for path in (ROOT / top).rglob("*.py") if path != Path(__file__))
WHOLE = sorted(
    [
        *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.dot"), *(ROOT / "dbt").rglob("*.sql"),
        *(ROOT / "dbt").rglob("*.yml"), *(ROOT / "infra").rglob("*.yml"), *(ROOT / "infra").rglob("*.json"),
        *(ROOT / "infra").rglob("*.sh"),
        *(ROOT / ".github").rglob("*.yml"), ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / "compose.yaml", ROOT / ".env.example",
    ]
)  # fmt: skip


def read_prose(path: Path) -> str:
    """Comments and texts of a Python file; docstrings, messages and help are texts."""
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.COMMENT)}
    lines: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in kinds:
            for number, line in enumerate(token.string.split("\n"), token.start[0]):
                lines[number] = f"{lines.get(number, '')} {line}"
    return "\n".join(lines.get(number, "") for number in range(1, max(lines, default=0) + 1))


def find_words(text: str) -> list[str]:
    """`line: word` of each forbidden word; what is in code quotes in a document is a name, not prose."""
    plain = [re.sub(r"`[^`]*`", "", line) for line in text.split("\n")]
    return [f"{number}: {found[0]}" for number, line in enumerate(plain, 1) for found in FORBIDDEN.finditer(line)]


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_texts_and_comments_are_in_plain_words(path):
    assert find_words(read_prose(path)) == []


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documents_and_configuration_are_in_plain_words(path):
    assert find_words(path.read_text()) == []


def test_a_word_is_found_in_a_docstring_a_comment_and_a_message(tmp_path):
    path = tmp_path / "module.py"
    path.write_text('"""It is read anew."""\nvalue = f"{1} was told"  # it shall be\nlog = "`tells`"\n')
    assert find_words(read_prose(path)) == ["1: anew", "2: told", "2: shall"]
