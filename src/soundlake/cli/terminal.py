"""What the commands show: progress on standard error, results on standard output, as a table or as one JSON object."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from soundlake.logs import report


class ProgressReporter:
    """A line a step, with a bar where the amount of work is known, on standard error."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", visible=False)

    def begin(self, step: str, total: int | None = None) -> None:
        """A step begins."""
        self._task = self._progress.add_task(step, total=total, detail="")

    def advance(self, done: int, detail: str = "") -> None:
        """So much of it is done."""
        self._progress.update(self._task, completed=done, detail=detail)

    def end(self, detail: str = "") -> None:
        """It is over."""
        task = self._progress.tasks[self._progress.task_ids.index(self._task)]
        total = task.total or max(task.completed, 1)
        self._progress.update(self._task, total=total, completed=total, detail=detail)
        if not self._progress.console.is_terminal:
            report(f"{task.description}: {detail}")


@contextmanager
def show_progress() -> Iterator[ProgressReporter]:
    """Progress bars while the block runs; plain lines where standard error is no terminal."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="dim"),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield ProgressReporter(progress)


def print_json(result: Mapping[str, Any]) -> None:
    """One JSON object, alone on standard output."""
    sys.stdout.write(json.dumps(result, ensure_ascii=False, default=str) + "\n")


def print_table(title: str, rows: Mapping[str, Any]) -> None:
    """Two columns: what, and how much."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in rows.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int | float) else str(value))
    console = Console()
    console.print(f"\n{title}", style="bold")
    console.print(table)


def print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as it stands: nothing in it is taken for markup; the last column takes the room that is left."""
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    console.print(f"\n{title}", style="bold")
    console.print(table)
