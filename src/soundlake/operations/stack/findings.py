"""Findings of the doctor: the result of each check, and the command that fixes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from soundlake.errors import SoundlakeError


class Verdict(StrEnum):
    """The result of a check. `missing` prevents a start, `lacking` does not."""

    THERE = "there"
    LACKING = "lacking"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """The result of one check, and the command that fixes it."""

    name: str
    verdict: Verdict
    found: str
    remedy: str | None = None


def run_check(name: str, check: Callable[[], str]) -> Finding:
    """The finding of a check that returns what it found, or raises an error with the next step."""
    try:
        return Finding(name, Verdict.THERE, check())
    except SoundlakeError as error:
        return Finding(name, Verdict.MISSING, error.message, error.next_step)
