"""The state of each followed account on the disk, and the lease that makes one process its poller."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct, field

from soundlake.local_files import find_draft, try_lock, write_file
from soundlake.spotify.collection import Gap, Span
from soundlake.spotify.plays.outcomes import Outcome
from soundlake.spotify.plays.state import ListeningState

log = logging.getLogger(__name__)


class Listening(Struct):
    """What is known of an account: the state of its plays, what is not yet published, and how the last poll ended.

    `failure` is null after a good answer; then `failed_since` is too. `heard` are its newest plays, the newest last; `gaps` are times
    without an answer in which something else may have been played. All times are UTC.
    """

    account: str
    state: ListeningState = field(default_factory=ListeningState)
    outbox: list[Outcome] = field(default_factory=list)
    answered_at: datetime | None = None
    failed_since: datetime | None = None
    failure: str | None = None
    heard: list[Span] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


class Owner(Struct, frozen=True):
    """The process that follows an account."""

    pid: int
    host: str
    since: datetime


class ListeningStore:
    """Keeps two files an account in `folder`: the state, written whole, and the owner of the lease."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, account: str) -> Listening:
        """What is known of an account. A file that cannot be read is kept beside, and the account begins new."""
        path = self.find_path(account)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Listening)
        except FileNotFoundError:
            return Listening(account)
        except msgspec.DecodeError as cause:
            aside = path.with_suffix(".unreadable")
            path.replace(aside)
            log.warning("%s is unreadable and kept as %s; what its account plays begins new: %s", path, aside.name, cause)
            return Listening(account)

    def write(self, listening: Listening) -> None:
        """Keep it. Raises OSError."""
        self._make_folder()
        write_file(self.find_path(listening.account), msgspec.json.encode(listening).decode(), is_private=True)

    def delete(self, account: str) -> None:
        """Forget what an account plays, and who followed it."""
        path = self.find_path(account)
        for one in (path, find_draft(path), path.with_suffix(".unreadable"), path.with_suffix(".owner")):
            one.unlink(missing_ok=True)

    @contextmanager
    def try_lease(self, account: str, now: datetime) -> Iterator[Owner | None]:
        """Become the one process that follows an account, for the block; yields None, or the owner if another process is.

        The lease ends with its process, however that ends (D04).
        """
        self._make_folder()
        path = self.find_path(account)
        with try_lock(path.with_suffix(".lock")) as is_mine:
            if is_mine:
                owner = Owner(os.getpid(), platform.node(), now)
                write_file(path.with_suffix(".owner"), msgspec.json.encode(owner).decode(), is_private=True)
            yield None if is_mine else self._read_owner(account, now)

    def find_owner(self, account: str, now: datetime) -> Owner | None:
        """The process that follows an account now, if one does."""
        if not self._folder.exists():
            return None
        with try_lock(self.find_path(account).with_suffix(".lock")) as is_free:
            return None if is_free else self._read_owner(account, now)

    def find_path(self, account: str) -> Path:
        """The file of an account's state."""
        return self._folder / f"{hashlib.sha256(account.encode()).hexdigest()[:24]}.json"

    def _read_owner(self, account: str, now: datetime) -> Owner:
        try:
            return msgspec.json.decode(self.find_path(account).with_suffix(".owner").read_bytes(), type=Owner)
        except (FileNotFoundError, msgspec.DecodeError):
            return Owner(0, "unknown", now)

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
