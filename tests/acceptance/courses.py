"""The courses of a case: the case itself, and each of its variants with what is right in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.acceptance.merge_variants import make_merge_variant
from tests.acceptance.player_variants import make_variant, move_plays

Case = Mapping[str, Any]


@dataclass(frozen=True)
class Course:
    """A case as it runs: `words` are those of the variant, empty for the case itself."""

    case: Case
    words: str = ""
    number: int = 0

    @property
    def user(self) -> str:
        """The account, of its own for each course."""
        return f"{self.case['id']}-{self.number}".lower()

    @property
    def prefix(self) -> str:
        """What lines about it begin with."""
        return f"{self.words}: " if self.words else ""


def list_courses(case: Case) -> tuple[list[Course], list[str]]:
    """The courses, and the variants whose words are not understood."""
    courses, unread = [Course(case)], []
    for words in _list_variants(case):
        found = _apply(case, words)
        if found is None:
            unread.append(words)
        else:
            courses.append(Course(found, words, len(courses)))
    return courses, unread


def _list_variants(case: Case) -> Iterator[str]:
    """A list in brackets cuts a sentence at its commas: what belongs into one pair of parentheses is one variant."""
    given, words = case["given"], ""
    for part in map(str, given.get("variants", ())):
        words = f"{words}, {part}" if words else part
        if words.count("(") <= words.count(")"):
            yield words
            words = ""
    yield from (f"{name}: {given[name]}" for name in ("without_live", "negative") if name in given)


def _apply(case: Case, words: str) -> Case | None:
    """The case in the variant of these words; None if they are not understood."""
    if "states" in case["given"] and (variant := make_variant(case["given"]["states"], words)) is not None:
        changed = {**case["given"], "states": variant.states, **variant.given}
        return {**case, "given": changed, "expect": move_plays(case["expect"], variant)}
    return make_merge_variant(case, words)
