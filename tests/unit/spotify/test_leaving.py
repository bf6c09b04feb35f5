"""An account leaves: what is deleted of it, and what stays of others."""

from __future__ import annotations

from dataclasses import fields

import pytest
from tests.spotify_home import run

from soundlake.errors import Unavailable
from soundlake.spotify.collection import Gap, History
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.leaving import ConnectedAccounts
from soundlake.spotify.poller.listening_store import Listening


def make_accounts(home) -> ConnectedAccounts:
    records = home.make_records()
    return ConnectedAccounts(**{field.name: getattr(records, field.name) for field in fields(ConnectedAccounts)})


def list_words(home, word: str) -> list[str]:
    return sorted(path.name for path in home.folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes())


async def live_a_while(home, *users):
    """Connected accounts with calls, a wait, a history with a gap, and live state."""
    clients = [home.connect(user) for user in users]
    for client in clients:
        await client.get_player()
        home.make_records().histories.write(History(client.account, gaps=[Gap(home.clock(), home.clock(), home.clock())]))
        home.make_records().listenings.write(Listening(client.account))
        with home.make_records().listenings.try_lease(client.account, home.clock()):
            pass
    home.fake.faults.add(Fault("not_registered", count=1))
    with pytest.raises(Exception, match="not"):
        await clients[0].get_player()
    return [client.account for client in clients]


def test_nothing_is_left_of_an_account_and_all_of_another_one(tmp_path):
    async def main(home):
        anna, ben = await live_a_while(home, "anna", "ben")
        accounts = make_accounts(home)
        assert accounts.find(["nobody"]) == {}
        assert accounts.find([anna]) == {anna: anna}
        assert list_words(home, anna)
        kept = list_words(home, ben)
        accounts.remove(anna)
        accounts.remove(anna)
        assert list_words(home, anna) == []
        assert list_words(home, ben) == kept
        assert home.store.list_accounts() == [ben]

    run(tmp_path, main)


def test_the_calls_of_an_account_that_left_still_count(tmp_path):
    async def main(home):
        (anna,) = await live_a_while(home, "anna")
        before = home.budget.measure_use(home.find_app())
        make_accounts(home).remove(anna)
        assert home.budget.measure_use(home.find_app()).calls_in_day == before.calls_in_day > 0

    run(tmp_path, main)


def test_the_rest_is_deleted_once_the_poller_has_let_go_of_the_account(tmp_path):
    async def main(home):
        (anna,) = await live_a_while(home, "anna")
        accounts = make_accounts(home)
        with accounts.listenings.try_lease(anna, home.clock()):
            accounts.remove(anna)
            accounts.listenings.write(Listening(anna))  # the answer that it waited for
            with pytest.raises(Unavailable):
                make_accounts(home).remove_rest(anna, home.clock())
        accounts.remove_rest(anna, home.clock())
        assert list_words(home, anna) == []

    run(tmp_path, main)
