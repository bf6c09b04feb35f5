"""What an erasure will do, is doing and has done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from msgspec import Struct, field


@dataclass(frozen=True)
class Kept:
    """A place that cannot delete single records, and the time (UTC) at which its retention has deleted them."""

    place: str
    until: datetime
    reason: str


@dataclass(frozen=True)
class Plan:
    """What an erasure would delete: the Spotify accounts, the number of rows, records or files by place, and what stays until when."""

    accounts: tuple[str, ...]
    found: dict[str, int]
    kept: tuple[Kept, ...]

    def as_json(self) -> dict[str, Any]:
        """The plan by name."""
        return asdict(self)


class Journal(Struct):
    """How far an erasure is. It names the accounts with their listeners, since these may be gone already; the last step deletes it."""

    begun_at: datetime
    accounts: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """What was erased, without an id in clear: the listeners are hashes with the salt of the lake, `deleted` counts by place."""

    id: str
    action: str
    listeners: tuple[str, ...]
    begun_at: datetime
    ended_at: datetime
    accounts: int
    deleted: dict[str, int]
    kept: tuple[Kept, ...]
    not_covered: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The receipt by name."""
        return asdict(self)
