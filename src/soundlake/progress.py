"""How long work tells what it is doing, whoever listens."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Told of the steps of a job; a terminal shows bars, a test keeps a list."""

    def begin(self, step: str, total: int | None = None) -> None:
        """A step begins; `total` is the amount of work where it is known."""

    def advance(self, done: int, detail: str = "") -> None:
        """So much of the step is done, since its beginning."""

    def end(self, detail: str = "") -> None:
        """The step is over."""


class StepList:
    """The reporter of tests: the steps that ended, with their last detail."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self._step = ""

    def begin(self, step: str, total: int | None = None) -> None:  # noqa: ARG002  # kept by those who draw
        """Remember the step."""
        self._step = step

    def advance(self, done: int, detail: str = "") -> None:
        """Nothing to draw."""

    def end(self, detail: str = "") -> None:
        """Note the step."""
        self.steps.append((self._step, detail))
