"""The steps of an erasure in order. Each can be repeated: what it deleted is deleted, what it did not find is not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tenacity import stop_after_delay

from soundlake.errors import Unavailable
from soundlake.lake import Scope
from soundlake.lake.erasure import BRONZE_TABLES, PROCESSED, PROCESSED_TABLES, LakeErasure, Person
from soundlake.operations.erasure.files import count_mentions, find_demo_files, mask_logs
from soundlake.operations.erasure.models import Journal
from soundlake.operations.erasure.places import Places
from soundlake.retries import retry_policy
from soundlake.warehouse.discard import delete_old_snapshots, discard_build, has_build

LONGEST_BUILD_SECONDS = 1_800.0
"""How long an erasure waits for each build of another process."""
_POLLER_SECONDS = 60
"""A poller that waits for an answer writes once more, within 20 seconds; one that sleeps keeps the account and writes nothing."""


@dataclass(frozen=True)
class Step:
    """One step: the name of its place; `run` deletes and returns how much, `count` says how much there is, where it can be counted."""

    name: str
    run: Callable[[], int]
    count: Callable[[], int] | None = None


def list_steps(places: Places, person: Person, journal: Journal, clock: Callable[[], datetime]) -> list[Step]:
    """Every step: first what keeps the listeners from coming back, then the sources, then what was made of them."""
    lake = LakeErasure(places.lake, person)
    return [
        Step("tombstones", lambda: _add_tombstones(places, person)),
        Step("Spotify accounts", lambda: _remove_accounts(places, [*journal.accounts]), lambda: len(journal.accounts)),
        *_list_log_steps(places, person),
        *(_make_table_step(lake, "bronze", name) for name in BRONZE_TABLES),
        *(_make_table_step(lake, PROCESSED, name) for name in PROCESSED_TABLES),
        *_list_warehouse_steps(places, lake),
        *_list_file_steps(places, person, [*journal.accounts]),
        Step("Spotify accounts, the rest", lambda: _remove_rest(places, [*journal.accounts], clock)),
        Step("cache", lambda: _forget_cache(places, person)),
    ]


def _add_tombstones(places: Places, person: Person) -> int:
    places.lake.tombstones.add(person.user_ids, person.scope)
    with places.hold_imports():  # the import that runs began without the tombstone
        return len(person.user_ids)


def _remove_accounts(places: Places, accounts: Sequence[str]) -> int:
    for account in accounts:
        places.accounts.remove(account)
    return len(accounts)


def _remove_rest(places: Places, accounts: Sequence[str], clock: Callable[[], datetime]) -> int:
    policy = retry_policy(first_wait_seconds=0.5, longest_wait_seconds=2, stop=stop_after_delay(_POLLER_SECONDS), on=Unavailable)
    for account in accounts:
        try:
            policy(places.accounts.remove_rest, account, clock())
        except Unavailable:
            places.accounts.remove(account)
    return 0


def _forget_cache(places: Places, person: Person) -> int:
    places.forget_cache(person.user_ids)
    return 0


def _list_log_steps(places: Places, person: Person) -> list[Step]:
    log, search = places.log, person.search
    if log is None:
        return []
    policy = retry_policy(first_wait_seconds=0.5, longest_wait_seconds=5, stop=20)
    return [Step("event log", lambda: policy(log.erase, search.find), lambda: log.count(search.find))]


def _make_table_step(lake: LakeErasure, layer: str, name: str) -> Step:
    return Step(f"{layer}/{name}", lambda: lake.erase(name, layer), lambda: lake.count(name, layer))


def _list_warehouse_steps(places: Places, lake: LakeErasure) -> list[Step]:
    """Silver and gold, if they were built, are built again from what bronze has now, into a new file; then the older snapshots go."""

    def build() -> int:
        if has_build(places.warehouse):  # its link to the newest snapshot is still there
            places.transform(LONGEST_BUILD_SECONDS)
        return 0

    return [
        Step("copies of silver and gold", lambda: discard_build(places.warehouse, lake.delete_copies, LONGEST_BUILD_SECONDS)),
        Step("silver and gold, built again", build),
        Step("older snapshots", lambda: delete_old_snapshots(places.warehouse, LONGEST_BUILD_SECONDS)),
    ]


def _list_file_steps(places: Places, person: Person, accounts: Sequence[str]) -> list[Step]:
    search = Person(frozenset([*person.user_ids, *accounts]), Scope.EVERYTHING).search
    steps = [Step("logs", lambda: mask_logs(places.home, search), lambda: count_mentions(places.home, search))]
    if person.scope is not Scope.EVERYTHING:
        return steps

    def delete_demo() -> int:
        found = find_demo_files(places.home, person.user_ids)
        for path in found:
            path.unlink()
        return len(found)

    return [*steps, Step("state of the demo", delete_demo, lambda: len(find_demo_files(places.home, person.user_ids)))]
