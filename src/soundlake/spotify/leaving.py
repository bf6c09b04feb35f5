"""An account leaves: its tokens, its state and everything else that this home keeps of it beside the events."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from soundlake.errors import Unavailable
from soundlake.spotify.budget import RequestBudget
from soundlake.spotify.collection import HistoryStore
from soundlake.spotify.poller import ListeningStore
from soundlake.spotify.tokens import TokenStore


@dataclass(frozen=True)
class ConnectedAccounts:
    """What is kept of the accounts of a home."""

    store: TokenStore
    budget: RequestBudget
    histories: HistoryStore
    listenings: ListeningStore

    def find(self, listeners: Collection[str]) -> dict[str, str]:
        """The accounts of these listeners, or with these ids, each with its listener."""
        found = (self.store.read(account) for account in self.store.list_accounts())
        connections = [connection for connection in found if connection is not None]
        return {one.account: one.listener for one in connections if one.listener in listeners or one.account in listeners}

    def remove(self, account: str) -> None:
        """Delete tokens, history, gaps, live state and budget of an account. Repeatable.

        Spotify has no call that revokes a token: the listener removes the app on spotify.com/account/apps. Without its connection, a
        poller or collector asks no more; one that waits for an answer may write its state once more.
        """
        with self.store.lock(account):
            self.store.delete(account)
        self.histories.delete(account)
        self.listenings.delete(account)
        self.budget.forget(account)

    def remove_rest(self, account: str, now: datetime) -> None:
        """Delete what a poller or collector wrote after `remove`. Raises Unavailable while one still has the account."""
        with self.histories.try_lease(account) as is_mine, self.listenings.try_lease(account, now) as owner:
            if not is_mine or owner is not None:
                raise Unavailable("a poller or collector still has the account", next_step="wait for its next poll, or stop it")
            self.remove(account)
