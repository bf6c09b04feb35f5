"""Progress of long work, shown by whatever calls it."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Is called with the steps of a job; a terminal draws bars, a test keeps a list."""

    def begin(self, step: str, total: int | None = None) -> None:
        """A step starts; `total` is the amount of work if that is known."""

    def advance(self, done: int, detail: str = "") -> None:
        """`done` of the total is done, counted from the start of the step."""

    def end(self, detail: str = "") -> None:
        """The step ended."""


class StepList:
    """A reporter without output: keeps the steps that ended, with their last detail."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self._step = ""

    def begin(self, step: str, total: int | None = None) -> None:  # noqa: ARG002  # only drawn
        """Keep the name of the step."""
        self._step = step

    def advance(self, done: int, detail: str = "") -> None:
        """Nothing to draw."""

    def end(self, detail: str = "") -> None:
        """Add the step."""
        self.steps.append((self._step, detail))
