"""What the commands show: progress on standard error, results on standard output, as a table or as one JSON object."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from soundlake.logs import report

_WIDTH_OF_FILES = 200
_GAP = 2
_LAST_COLUMN_WIDTH = 22  # what the last column of a table keeps in a narrow terminal


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
    """Two columns: names, and values as `format_value` writes them. A long value goes on in the next line, a name does not."""
    print_heading(title)
    print_fields({name: format_value(value) for name, value in rows.items()})


def print_fields(fields: Mapping[str, str]) -> None:
    """Two columns: names, and texts that may go on in the next line."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(Text(name), Text(value))
    _open_console().print(table)


def print_rows(title: str, rows: Sequence[Mapping[str, str]], *, optional: Sequence[str] = ()) -> None:
    """A table, one line for each row. Columns of `optional` are left out, the first one first, until the last column has enough room."""
    console = _open_console()
    widths = _measure_columns(rows, console.width, optional)
    table = Table(box=None, padding=(0, _GAP, 0, 0))
    for name, width in widths.items():
        table.add_column(name, no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        table.add_row(*(Text(row[name]) for name in widths))
    print_heading(title)
    console.print(table)


def _measure_columns(rows: Sequence[Mapping[str, str]], width: int, optional: Sequence[str]) -> dict[str, int]:
    """The columns that fit, with their widths. The last one gets what the others leave."""
    *names, last = rows[0]
    widths = {name: max(cell_len(name), *(cell_len(row[name]) for row in rows)) for name in names}
    for name in optional:
        if _measure_rest(widths, width) >= _LAST_COLUMN_WIDTH:
            break
        del widths[name]
    return {**widths, last: max(1, _measure_rest(widths, width))}


def _measure_rest(widths: Mapping[str, int], width: int) -> int:
    """The width that these columns leave to one more; each has a gap behind it."""
    return width - sum(size + _GAP for size in widths.values()) - _GAP


def format_value(value: object) -> str:
    """Numbers with a comma between thousands, truth as yes and no, everything else as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def print_heading(title: str) -> None:
    """A title after an empty line."""
    _open_console().print(Text(f"\n{title}", style="bold"))


def _open_console() -> Console:
    """Standard output, as wide as the terminal or COLUMNS says; a file or a pipe is wide enough for whole tables."""
    return Console(width=shutil.get_terminal_size((_WIDTH_OF_FILES, 0)).columns)
