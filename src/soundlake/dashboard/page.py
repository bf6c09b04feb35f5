"""What a page is, and what it is given to draw with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from duckdb import DuckDBPyConnection

from soundlake.dashboard.filters import Extent, Filters
from soundlake.dashboard.snapshot_reader import SnapshotReader
from soundlake.dashboard.theme import Palette

Terms = TypeVarTuple("Terms")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class View:
    """One drawing of a page: the snapshot, what is chosen, what there is to choose from, and the colours."""

    reader: SnapshotReader
    filters: Filters
    extent: Extent
    listeners: tuple[str, ...]
    palette: Palette

    def ask(self, question: Callable[[DuckDBPyConnection, *Terms], Answer], *terms: *Terms) -> Answer:
        """The answer of one of `queries` on this snapshot."""
        return self.reader.ask(question, *terms)


@dataclass(frozen=True)
class Page:
    """One entry of the navigation; a module in `pages/` offers it as PAGE and is found by that.

    `order` sorts the navigation, the lowest is the start page. A page that is not about a period has its date and device filters disabled.
    A page that has more to show than the snapshot draws that by `render_early` while there is no snapshot, or no play in it.
    """

    order: int
    title: str
    path: str
    icon: str
    render: Callable[[View], None]
    has_period: bool = True
    render_early: Callable[[Palette], None] | None = None
