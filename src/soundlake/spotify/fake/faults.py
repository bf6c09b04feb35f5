"""Faults that can be switched on: for some accounts, apps and paths, for a number of requests or a span of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from random import Random
from typing import Any

from soundlake.errors import UsageError
from soundlake.spotify.fake.canned_answers import CANNED
from soundlake.spotify.fake.history_faults import HISTORY_FAULTS
from soundlake.spotify.fake.player_faults import PLAYER_FAULTS
from soundlake.spotify.fake.web_api import PLAYER_PATHS, RECENTLY_PLAYED

KINDS: tuple[str, ...] = tuple(sorted({*CANNED, *PLAYER_FAULTS, *HISTORY_FAULTS, "token_fields"}))
_PATHS_OF_KIND: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(PLAYER_FAULTS, PLAYER_PATHS),
    **dict.fromkeys(HISTORY_FAULTS, (RECENTLY_PLAYED,)),
    "no_content": PLAYER_PATHS,
    "invalid_grant": ("/api/token",),
    "token_fields": ("/api/token",),
}
"""Where a fault applies that names no paths; any other applies to every call of the Web API."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is, as far as its token says, and where it goes."""

    path: str
    account: str | None = None
    client_id: str | None = None


@dataclass(slots=True)
class Fault:
    """One fault. Empty `accounts` and `apps` are all of them; `paths` may have wildcards. Times in UTC, epoch ms, the end excluded.

    `count` is the number of requests that it still applies to, null for any; `share` of the requests that match are hit, drawn with `seed`.
    `details` are those of the kind, such as status, body and retry_after of `respond`, or seconds of `late_list`.
    """

    kind: str
    accounts: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    count: int | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    share: float = 1.0
    seed: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    hits: int = 0
    _random: Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"no fault {self.kind!r}", next_step=f"choose one of {', '.join(KINDS)}")
        self.paths = self.paths or _PATHS_OF_KIND.get(self.kind, ("/v1/*",))
        self._random = Random(f"{self.kind}/{self.seed}")

    def is_due(self, caller: Caller, now_ms: int) -> bool:
        """Whether it applies to this request; draws, and counts a hit."""
        if self.count is not None and self.hits >= self.count:
            return False
        if (self.from_ms is not None and now_ms < self.from_ms) or (self.until_ms is not None and now_ms >= self.until_ms):
            return False
        if (self.accounts and caller.account not in self.accounts) or (self.apps and caller.client_id not in self.apps):
            return False
        if not any(fnmatch(caller.path, path) for path in self.paths) or (self.share < 1 and self._random.random() >= self.share):
            return False
        self.hits += 1
        return True


@dataclass(slots=True)
class FaultBoard:
    """The faults that are switched on, by number."""

    faults: dict[int, Fault] = field(default_factory=dict)
    _last: int = 0

    def add(self, fault: Fault) -> int:
        """Switch a fault on; its number switches it off."""
        self._last += 1
        self.faults[self._last] = fault
        return self._last

    def remove(self, number: int | None = None) -> None:
        """Switch a fault off, without a number all of them."""
        if number is None:
            self.faults.clear()
        else:
            self.faults.pop(number, None)

    def find_due(self, caller: Caller, now_ms: int) -> list[Fault]:
        """The faults of this request: at most one that replaces the answer, and all that change it."""
        due: list[Fault] = []
        is_replaced = False
        for fault in self.faults.values():
            replaces = fault.kind in CANNED
            if not (replaces and is_replaced) and fault.is_due(caller, now_ms):
                due.append(fault)
                is_replaced = is_replaced or replaces
        return due
