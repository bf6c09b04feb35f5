"""What a page is, and what it draws with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from duckdb import DuckDBPyConnection

from soundlake.dashboard.filters import Extent, Filters, Grain, is_complete
from soundlake.dashboard.query_results import Bucket
from soundlake.dashboard.snapshot_reader import SnapshotReader
from soundlake.dashboard.theme import Palette

Terms = TypeVarTuple("Terms")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class View:
    """One rendering of a page: the snapshot, the filters, their options, and the colours.

    `extent` begins with the first play of the chosen listener (or of all) and ends with the newest play of all listeners.
    """

    reader: SnapshotReader
    filters: Filters
    extent: Extent
    listeners: tuple[str, ...]
    palette: Palette

    def ask(self, question: Callable[[DuckDBPyConnection, *Terms], Answer], *terms: *Terms) -> Answer:
        """The answer of one of `queries` on this snapshot."""
        return self.reader.ask(question, *terms)

    def is_complete(self, bucket: Bucket, grain: Grain) -> bool:
        """Whether a bucket is a whole day, week or month that was over when the snapshot was built."""
        return is_complete(bucket.first, bucket.last, grain, self.reader.built_at)

    def has_data(self, bucket: Bucket) -> bool:
        """Whether a bucket overlaps the extent; the buckets before and after it are gaps, not zeros."""
        return bucket.last >= self.extent.first.date() and bucket.first <= self.extent.last.date()


@dataclass(frozen=True)
class Page:
    """One entry of the navigation; a module in `pages/` offers it as PAGE and is found by that.

    `order` sorts the navigation, the lowest is the start page. A page without a period has its date and device filters disabled.
    A page that shows more than the snapshot draws that by `render_early` while there is no snapshot, or no play in it.
    """

    order: int
    title: str
    path: str
    icon: str
    render: Callable[[View], None]
    has_period: bool = True
    render_early: Callable[[Palette], None] | None = None
