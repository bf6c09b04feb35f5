"""Connections in files, one an account: readable by their owner only from the first byte on, replaced whole."""

from __future__ import annotations

import hashlib
import logging
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from soundlake.errors import Unavailable
from soundlake.local_files import hold_lock, write_file
from soundlake.spotify.errors import AccountMismatch
from soundlake.spotify.tokens.models import Connection

log = logging.getLogger(__name__)


class FileTokenStore:
    """Keeps each connection in a file of `folder`, mode 0600, written to the disk before it takes the old one's place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, account: str) -> Connection | None:
        """A connection. Raises AccountMismatch if the file is another account's, Unavailable if it is not readable."""
        connection = _read_file(self.find_path(account))
        if connection is not None and connection.account != account:
            raise AccountMismatch(account)
        return connection

    def write(self, connection: Connection) -> None:
        """Keep a connection."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(self.find_path(connection.account), msgspec.json.encode(connection).decode(), is_private=True, sync=True)

    def delete(self, account: str) -> None:
        """Forget a connection."""
        self.find_path(account).unlink(missing_ok=True)

    def list_accounts(self) -> list[str]:
        """The accounts that the files say they belong to, each once; a broken file is logged and costs no other account."""
        found = [_read_if_whole(path) for path in sorted(self._folder.glob("*.json"))]
        return sorted({connection.account for connection in found if connection is not None})

    def lock(self, account: str) -> AbstractContextManager[None]:
        """The lock beside the account's file."""
        return hold_lock(self.find_path(account).with_suffix(".lock"))

    def find_path(self, account: str) -> Path:
        """The file of an account: an id may be any text, and some file systems take two that differ in case only for one."""
        return self._folder / f"{hashlib.sha256(account.encode()).hexdigest()[:24]}.json"


def _read_if_whole(path: Path) -> Connection | None:
    try:
        return _read_file(path)
    except Unavailable as error:
        log.error("%s", error)  # noqa: TRY400  # the cause may hold tokens
        return None


def _read_file(path: Path) -> Connection | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Connection)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        raise Unavailable(f"{path} is not a connection", next_step="delete it and sign in again: soundlake spotify login") from None
