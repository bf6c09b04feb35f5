"""Connections whose tokens are in the keyring of the operating system; the files beside it hold everything else."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import msgspec

from soundlake.spotify.tokens.file_store import FileTokenStore
from soundlake.spotify.tokens.models import Connection

SERVICE = "soundlake-spotify"


class Keyring(Protocol):
    """What is used of the package `keyring`."""

    def get_password(self, service_name: str, username: str) -> str | None:
        """A secret."""

    def set_password(self, service_name: str, username: str, password: str) -> None:
        """Keep a secret."""

    def delete_password(self, service_name: str, username: str) -> None:
        """Forget a secret."""


class _Tokens(msgspec.Struct):
    access_token: str | None
    refresh_token: str | None


class KeyringTokenStore:
    """Keeps tokens in a keyring, under the service `soundlake-spotify` and the home's and the account's name."""

    def __init__(self, folder: Path, keyring: Keyring) -> None:
        self._files, self._keyring, self._home = FileTokenStore(folder), keyring, str(folder)

    def read(self, account: str) -> Connection | None:
        """A connection with its tokens."""
        connection = self._files.read(account)
        kept = None if connection is None else self._keyring.get_password(SERVICE, self._name(account))
        if connection is None or kept is None:
            return connection
        tokens = msgspec.json.decode(kept, type=_Tokens)
        return replace(connection, access_token=tokens.access_token, refresh_token=tokens.refresh_token)

    def write(self, connection: Connection) -> None:
        """Keep the tokens first: they are what cannot be had again."""
        tokens = msgspec.json.encode(_Tokens(connection.access_token, connection.refresh_token)).decode()
        self._keyring.set_password(SERVICE, self._name(connection.account), tokens)
        self._files.write(replace(connection, access_token=None, refresh_token=None))

    def delete(self, account: str) -> None:
        """Forget the tokens, then the rest."""
        if self._keyring.get_password(SERVICE, self._name(account)) is not None:
            self._keyring.delete_password(SERVICE, self._name(account))
        self._files.delete(account)

    def list_accounts(self) -> list[str]:
        """The accounts that have a file."""
        return self._files.list_accounts()

    def lock(self, account: str) -> AbstractContextManager[None]:
        """The lock beside the account's file."""
        return self._files.lock(account)

    def _name(self, account: str) -> str:
        return f"{self._home}:{account}"
