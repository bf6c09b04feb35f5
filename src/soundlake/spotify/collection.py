"""What was collected of each account: the entries of recently-played that were stored, the gaps, and the last answer."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from soundlake.local_files import find_draft, try_lock, write_file
from soundlake.spotify.plays.recent import RecentState

log = logging.getLogger(__name__)


Span = tuple[datetime, datetime]
"""From when until when, in UTC."""


@dataclass(frozen=True)
class Gap:
    """A time (UTC) of which plays may be missing, noticed at `found_at`.

    Of history: more than 50 were played since the request before. Of the poller: there was no answer, or nobody asked. `heard_live` are
    the plays in it that the poller followed, which close it in part.
    """

    begins_at: datetime
    ends_at: datetime
    found_at: datetime
    heard_live: tuple[Span, ...] = ()


def close_in_part(gap: Gap, heard: Sequence[Span]) -> Gap:
    """The gap with the parts of these plays that lie in it."""
    inside = [(max(start, gap.begins_at), min(end, gap.ends_at)) for start, end in heard if start < gap.ends_at and end > gap.begins_at]
    return replace(gap, heard_live=tuple(sorted(inside)))


@dataclass
class History:
    """The history of one account: what was stored of it, its gaps, and how the last request ended (`failure` is null: well).

    `plays` and `unreadable` count entries of recently-played since the account was connected.
    """

    account: str
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    failure: str | None = None
    recent: RecentState = field(default_factory=RecentState)
    gaps: list[Gap] = field(default_factory=list)
    plays: int = 0
    unreadable: int = 0


class HistoryStore:
    """Keeps one file an account in `folder`. A file that is lost costs repeats of the newest 50 entries, which are the same events."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, account: str) -> History:
        """What is known of an account; nothing for a new one."""
        try:
            return msgspec.json.decode(self.find_path(account).read_bytes(), type=History)
        except FileNotFoundError:
            return History(account)
        except msgspec.DecodeError as cause:
            log.warning("%s is unreadable, the history of its account begins empty: %s", self.find_path(account), cause)
            return History(account)

    def write(self, history: History) -> None:
        """Keep it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(self.find_path(history.account), msgspec.json.encode(history).decode(), is_private=True)

    def delete(self, account: str) -> None:
        """Forget what was collected of an account, and its gaps."""
        for path in (self.find_path(account), find_draft(self.find_path(account))):
            path.unlink(missing_ok=True)

    def try_lease(self, account: str) -> AbstractContextManager[bool]:
        """Become the one process that collects the history of an account, for the block; False if another one is."""
        return try_lock(self.find_path(account).with_suffix(".lock"))

    def find_path(self, account: str) -> Path:
        """The file of an account."""
        return self._folder / f"{hashlib.sha256(account.encode()).hexdigest()[:24]}.json"
