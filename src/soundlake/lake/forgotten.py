"""Who was forgotten: tombstones of erased listeners, kept beside the tables as salted hashes, so that nothing brings them back.

A tombstone is an empty object `forgotten/<scope>/<hash>`; `forgotten/salt` is made with the first one and kept. Every writer of the lake
reads them before it writes, also one on another machine. It reads `forgotten/version`, and lists the others only if that has changed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.compute as pc
from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore

from soundlake.contract.record import SPOTIFY_API_SOURCES

_FOLDER, _SALT, _VERSION = "forgotten", "forgotten/salt", "forgotten/version"
_HASHES_KEPT = 50_000
"""The same listeners are in each batch: a look-up takes 0.1 µs, a hash 1.5. They take 15 MB at most."""


class Scope(StrEnum):
    """What was forgotten of a listener: everything, or what came from Spotify's Web API."""

    EVERYTHING = "everything"
    SPOTIFY_API = "spotify_api"

    @property
    def sources(self) -> tuple[str, ...] | None:
        """The sources of the events; None: all."""
        return SPOTIFY_API_SOURCES if self is Scope.SPOTIFY_API else None


@lru_cache(_HASHES_KEPT)
def _hash(salt: str, user_id: str) -> str:
    return hashlib.sha256(f"{salt}{user_id}".encode()).hexdigest()


@dataclass(frozen=True)
class Forgotten:
    """Everybody who was forgotten, by scope; empty: nobody."""

    salt: str = ""
    hashes: frozenset[tuple[Scope, str]] = frozenset()

    def hash(self, user_id: str) -> str:
        """The hash of a listener: SHA-256 of salt and id, in hexadecimal digits."""
        return _hash(self.salt, user_id)

    def covers(self, user_id: str, source: str | None = None) -> bool:
        """Whether an event of this listener and source is not to be stored."""
        digest = self.hash(user_id)
        return (Scope.EVERYTHING, digest) in self.hashes or (source in SPOTIFY_API_SOURCES and (Scope.SPOTIFY_API, digest) in self.hashes)

    def find(self, events: pa.Table) -> np.ndarray:
        """A mask of events (`user_id`, `source`): true for those that are not to be stored."""
        if not self.hashes or not len(events):
            return np.zeros(len(events), np.bool_)
        listeners = [user_id for user_id in pc.unique(events["user_id"]).to_pylist() if user_id is not None]
        by_scope = {scope: [user_id for user_id in listeners if (scope, self.hash(user_id)) in self.hashes] for scope in self._scopes}
        mask = np.zeros(len(events), np.bool_)
        for scope, found in by_scope.items():
            if not found:
                continue
            theirs = pc.is_in(events["user_id"], pa.array(found, pa.string()))
            if scope.sources is not None:
                theirs = pc.and_(theirs, pc.is_in(events["source"], pa.array(scope.sources, pa.string())))
            mask |= theirs.to_numpy()
        return mask

    @cached_property
    def _scopes(self) -> frozenset[Scope]:
        return frozenset(scope for scope, _ in self.hashes)


class Tombstones:
    """Reads, adds and lifts the tombstones of a lake; `store` has the lake's root."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._salt = ""
        self._known: tuple[bytes, Forgotten] | None = None

    def read(self) -> Forgotten:
        """Who is forgotten now; the same object until that changes.

        The version is read before the list, and written after a change: a list that lacks a tombstone has an older version.
        """
        version = self._read(_VERSION)
        if self._known is None or self._known[0] != version:
            self._known = version, self._list()
        return self._known[1]

    def _list(self) -> Forgotten:
        names = [str(found["path"]).split("/") for chunk in obstore.list(self._store, prefix=_FOLDER) for found in chunk]
        hashes = frozenset((Scope(name[1]), name[2]) for name in names if len(name) == len(("folder", "scope", "hash")))
        return Forgotten(self.read_salt(), hashes) if hashes else Forgotten()

    def hash(self, user_ids: Iterable[str]) -> dict[str, str]:
        """The hash of each listener, with the salt of this lake, which is made if there is none."""
        with suppress(AlreadyExistsError):
            if not self.read_salt():
                obstore.put(self._store, _SALT, secrets.token_hex(16).encode(), mode="create", use_multipart=False)
        forgotten = Forgotten(self.read_salt())
        return {user_id: forgotten.hash(user_id) for user_id in user_ids}

    def add(self, user_ids: Iterable[str], scope: Scope) -> None:
        """Forget these listeners."""
        for digest in self.hash(user_ids).values():
            obstore.put(self._store, f"{_FOLDER}/{scope}/{digest}", b"", use_multipart=False)
        self._change_version()

    def lift(self, user_ids: Iterable[str], scope: Scope) -> list[str]:
        """Allow what comes from now on of these listeners; returns those who were forgotten."""
        known = self.read().hashes
        found = {user_id: digest for user_id, digest in self.hash(user_ids).items() if (scope, digest) in known}
        for digest in found.values():
            obstore.delete(self._store, f"{_FOLDER}/{scope}/{digest}")
        self._change_version()
        return list(found)

    def read_salt(self) -> str:
        """The salt; empty if nobody was ever forgotten."""
        self._salt = self._salt or self._read(_SALT).decode()
        return self._salt

    def _change_version(self) -> None:
        obstore.put(self._store, _VERSION, secrets.token_bytes(16), use_multipart=False)

    def _read(self, path: str) -> bytes:
        """An object's content; nothing if there is no such object."""
        with suppress(FileNotFoundError):
            return bytes(obstore.get(self._store, path).bytes())
        return b""
