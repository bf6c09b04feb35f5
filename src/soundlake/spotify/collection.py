"""What was collected last of each account: the known entries of recently-played, the gaps, and the times of the last answers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from soundlake.local_files import write_file


@dataclass(frozen=True)
class Gap:
    """A time (UTC) of which Spotify may have dropped plays: more than 50 since the fetch before. `found_at` is when it was noticed."""

    begins_at: datetime
    ends_at: datetime
    found_at: datetime


@dataclass
class History:
    """The history of one account. `known` are the newest entries that were published, as keys, `newest_at` is the latest time."""

    account: str
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    failure: str | None = None
    newest_at: datetime | None = None
    known: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    plays: int = 0
    unreadable: int = 0


class HistoryStore:
    """Keeps one file an account in `folder`; one process writes an account's file at a time (the lease of its collector)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, account: str) -> History:
        """What is known of an account; nothing for a new one."""
        try:
            return msgspec.json.decode(self.find_path(account).read_bytes(), type=History)
        except FileNotFoundError:
            return History(account)

    def write(self, history: History) -> None:
        """Keep it, on the disk."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(self.find_path(history.account), msgspec.json.encode(history).decode(), is_private=True, sync=True)

    def find_path(self, account: str) -> Path:
        """The file of an account."""
        return self._folder / f"{hashlib.sha256(account.encode()).hexdigest()[:24]}.json"
