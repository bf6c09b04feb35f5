"""Cases of the kind `recent`: the client and the backfill against lists of the fake Spotify, one request after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.erasure_cases import find_erasure_differences
from tests.acceptance.player_answers import find_start, write_entry
from tests.spotify_home import SpotifyHome, run

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import TOPICS
from soundlake.spotify.backfill import Backfill, Collected
from soundlake.spotify.collection import HistoryStore
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.fake.web_api import RECENTLY_PLAYED

Case = Mapping[str, Any]
_PROSE = frozenset({"note", "rule"})
_OF_REQUEST = {
    "stored": lambda one: one.plays,
    "new_rows_per_fetch": lambda one: one.plays,
    "counted_as_unreadable": lambda one: one.unreadable,
    "gap_records_per_fetch": lambda one: int(one.gap is not None),
}


def find_recent_differences(case: Case, folder: Path) -> list[str]:
    """What is not as the case expects it."""
    if "steps" in case["given"]:
        return find_erasure_differences(case, folder)
    pages = case["given"].get("answers", case["given"].get("fetches", ()))
    results = [one for number, page in enumerate(pages) for one in _collect(case, page, folder, number)]
    found = [] if len(results) == len(pages) else [f"{len(results)} of {len(pages)} requests have a result"]
    for name, right in case["expect"].items():
        if name in _OF_REQUEST:
            seen = [_OF_REQUEST[name](one) for one in results]
            found += [] if seen == right else [f"{name} {seen}, right is {right}"]
        elif name == "gap_record":
            start = find_start(case)
            gaps = [((one.gap.begins_at - start).total_seconds(), (one.gap.ends_at - start).total_seconds()) for one in results if one.gap]
            found += [] if gaps == [(right["from"], right["to"])] else [f"gaps {gaps}, right is {right}"]
        elif name not in _PROSE:
            found.append(f"not understood: expect {name}")
    return found


def _collect(case: Case, page: Any, folder: Path, number: int) -> list[Collected]:
    """The result of one request. Pages of counts are alternatives, each after what is stored; others follow each other in one home."""
    is_alternative = isinstance(page, Mapping) and isinstance(page.get("items"), int)
    home_folder = folder / (str(number) if is_alternative else "home")
    stored = case["given"].get("stored_newest")
    before = [[write_entry(case, "S", stored)]] if stored is not None and (is_alternative or number == 0) else []

    async def main(home: SpotifyHome) -> list[Collected]:
        account = home.connect("u").account
        broker = MemoryBroker(home.clock)
        broker.create_topics(TOPICS, partitions=1)
        app = home.find_app()
        backfill = Backfill(
            home.store, HistoryStore(home_folder / "history"), lambda one: home.make_client(one.account, app),
            Publisher(broker, home.clock), home.clock,
        )  # fmt: skip
        results = []
        for items in [*before, list(_write_entries(case, page))]:
            body = {**(page if isinstance(page, Mapping) else {}), "items": items}
            home.fake.faults.add(Fault("respond", paths=(RECENTLY_PLAYED,), count=1, details={"body": body}))
            await home.clock.sleep(60)
            results.append(await backfill.collect(account))
        assert home.count_calls(RECENTLY_PLAYED) == len(results)
        return results[len(before) :]

    return run(home_folder, main)


def _write_entries(case: Case, page: Any) -> Iterable[dict[str, Any]]:
    """The entries of a page: a list of them, or how many there are, from when to when, and how many of them are stored already."""
    items = page["items"] if isinstance(page, Mapping) else page
    if not isinstance(items, int):
        yield from (
            write_entry(case, *entry) if isinstance(entry, list) else write_entry(case, entry["track"], entry["played_at"])
            for entry in items
        )
        return
    shared = page.get("shares_with_stored", 0)
    for number in range(items):
        at = page["oldest"] + (page["newest"] - page["oldest"]) * number / max(items - 1, 1)
        is_stored = number < shared
        yield write_entry(case, "S" if is_stored else f"N{number}", case["given"]["stored_newest"] if is_stored else at)
