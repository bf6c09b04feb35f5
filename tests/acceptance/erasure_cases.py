"""Cases of listeners who are erased: what is fetched or imported of them afterwards, in a home with log, sink and lake."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.acceptance.player_answers import find_start, write_entry
from tests.acceptance.source_files import WRITERS
from tests.spotify_home import SpotifyHome, run

from soundlake.broker.embedded import EmbeddedBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import TOPICS
from soundlake.errors import DataError
from soundlake.importing import Importer
from soundlake.importing.log_drain import LogDrain
from soundlake.lake import Lake, Scope
from soundlake.operations.erasure import Erasure, Places
from soundlake.progress import StepList
from soundlake.settings import Address
from soundlake.sink import Sink, SinkLimits
from soundlake.spotify.backfill import Backfill
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.fake.web_api import RECENTLY_PLAYED
from soundlake.spotify.leaving import ConnectedAccounts

Case = Mapping[str, Any]
_FETCH, _ERASE, _IMPORT = r"fetch gives (\w+) at (\d+)(?: again)?", r"erase that listener.*", r"import an export that holds (\w+)"


def find_erasure_differences(case: Case, folder: Path) -> list[str]:
    """What is not as the case expects it."""
    unread = [f"not understood: expect {name}" for name in case["expect"] if name not in ("plays", "note")]

    async def main(home: SpotifyHome) -> list[str]:
        with closing(EmbeddedBroker(folder / "broker.db")) as broker:
            return await _ErasedHome(case, home, broker).follow()

    return unread + run(folder, main)


class _ErasedHome:
    """The home of one case. `user` signs in again before each fetch that follows the erasure."""

    def __init__(self, case: Case, home: SpotifyHome, broker: EmbeddedBroker) -> None:
        self.case, self.home, self.broker = case, home, broker
        broker.create_topics(TOPICS, partitions=1)
        self.lake = Lake(Address(f"file://{home.folder}/lake", "file", path=home.folder / "lake"))
        self.lake.ensure_tables()
        self.account = home.connect("u").account
        self.fetched_at = 0
        self.is_erased = False

    async def follow(self) -> list[str]:
        """Do the steps one after the other; the differences."""
        found: list[str] = []
        for step in self.case["given"]["steps"]:
            if fetch := re.fullmatch(_FETCH, step):
                found += await self._fetch(fetch[1], int(fetch[2]))
            elif re.fullmatch(_ERASE, step):
                found += self._erase()
            elif held := re.fullmatch(_IMPORT, step):
                found += self._import(held[1])
            else:
                found.append(f"not understood: step {step}")
        plays = self._list_plays()
        return found + ([] if plays == self.case["expect"]["plays"] else [f"plays {plays}, right is {self.case['expect']['plays']}"])

    async def _fetch(self, letter: str, at_s: int) -> list[str]:
        """Erased, the account asks nothing; signed in again, what it brings is not stored."""
        found = []
        if self.is_erased:
            calls = self.home.count_calls(RECENTLY_PLAYED)
            await self._collect(letter, at_s)
            found += [] if self.home.count_calls(RECENTLY_PLAYED) == calls else ["the erased account was asked"]
            self.home.fake.faults.remove()
            self.home.connect("u")
        collected = await self._collect(letter, at_s)
        found += [] if collected.plays == 1 else [f"the fetch published {collected.plays} plays, right is 1"]
        report, self.fetched_at = self._drain(), at_s
        seen, right = (report.events, report.forgotten), (0, 1) if self.is_erased else (1, 0)
        return found + ([] if seen == right else [f"stored and dropped {seen}, right is {right}"])

    async def _collect(self, letter: str, at_s: int) -> Any:
        home, app = self.home, self.home.find_app()
        body = {"items": [write_entry(self.case, letter, at_s)]}
        home.fake.faults.add(Fault("respond", paths=(RECENTLY_PLAYED,), count=1, details={"body": body}))
        await home.clock.sleep(60)
        publisher = Publisher(self.broker, home.clock)
        backfill = Backfill(
            home.store, home.make_records().histories, lambda one: home.make_client(one.account, app), publisher, home.clock
        )
        return await backfill.collect(self.account)

    def _erase(self) -> list[str]:
        records = self.home.make_records()
        places = Places(
            self.home.folder, self.lake, self.home.folder / "warehouse",
            ConnectedAccounts(**{field.name: getattr(records, field.name) for field in fields(ConnectedAccounts)}),
            self.broker, tuple, lambda _wait_seconds: None, nullcontext,
        )  # fmt: skip
        receipt = Erasure(places, [self.account], Scope.EVERYTHING, self.home.clock, StepList()).run()
        self.is_erased = True
        deleted = receipt.deleted.get("bronze/plays", 0) + receipt.deleted.get("bronze/history", 0)
        return [] if (deleted, receipt.accounts) == (1, 1) else [f"the erasure deleted {deleted} plays and {receipt.accounts} accounts"]

    def _import(self, letter: str) -> list[str]:
        folder = self.home.folder / "export"
        folder.mkdir()
        WRITERS["extended_export"](self.case, [{"track": letter, "ts": self.fetched_at, "ms_played": self.case["tracks"][letter]}], folder)
        drain = LogDrain(self.broker, self.lake, lambda _stop: self._drain(), self.home.folder / "sink.lock")
        lock = self.home.folder / "import.lock"
        importer = Importer(self.lake, Publisher(self.broker, self.home.clock), drain, reporter=StepList(), lock=lock)
        try:
            importer.import_history([folder], self.account)
        except DataError as error:
            return [] if self.is_erased and "was erased" in error.message else [f"the import was refused: {error.message}"]
        return ["the import was not refused"] if self.is_erased else []

    def _drain(self) -> Any:
        return Sink(self.broker, self.lake, SinkLimits(), clock=self.home.clock).run(until_drained=True)

    def _list_plays(self) -> list[tuple[str, float]]:
        """Track and time (s after t0) of each play in bronze."""
        rows = [row for name in ("plays", "history") for row in self.lake.read(name, ["track_id", "played_at"]).to_pylist()]
        return [(row["track_id"], (row["played_at"] - find_start(self.case)).total_seconds()) for row in rows]
