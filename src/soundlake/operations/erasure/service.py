"""Runs an erasure: plans it, does its steps, keeps its journal, and writes the receipt."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

import msgspec

from soundlake.errors import Unavailable
from soundlake.lake import Scope
from soundlake.lake.erasure import Person
from soundlake.local_files import find_draft, try_lock, write_file
from soundlake.operations.erasure.models import Journal, Plan, Receipt
from soundlake.operations.erasure.places import Places
from soundlake.operations.erasure.steps import Step, list_steps
from soundlake.progress import Reporter

log = logging.getLogger(__name__)

FOLDER = "erasure"
_NOT_COVERED = (
    "files outside of this home: exports, backups, copies of the lake",
    "other listeners' events that mention the listener, such as the name of a playlist",
    "what other programs keep: the shell's history, Kafka's consumers, Spark's checkpoints (ids of events only)",
    "disk blocks of deleted files, which the system uses again; encrypt the disk where that matters",
)
_ACTION = {Scope.EVERYTHING: "forget", Scope.SPOTIFY_API: "disconnect"}


class Erasure:
    """Erases some listeners, or what came of them from Spotify's API. One erasure of a home runs at a time."""

    def __init__(self, places: Places, user_ids: Collection[str], scope: Scope, clock: Callable[[], datetime], reporter: Reporter) -> None:
        self._places, self._scope, self._clock, self._reporter = places, scope, clock, reporter
        self._user_ids = frozenset(user_ids)
        self._folder = places.home / FOLDER

    def plan(self) -> Plan:
        """What would be deleted now; nothing is changed but the salt of the hashes, which is made if there is none."""
        accounts = self._places.accounts.find(self._user_ids)
        journal = Journal(self._clock(), accounts)
        found = {}
        for step in self._list_steps(journal):
            if step.count is not None:
                self._reporter.begin(f"count: {step.name}")
                found[step.name] = step.count()
                self._reporter.end(f"{found[step.name]:,}")
        return Plan(tuple(accounts), {name: count for name, count in found.items() if count}, self._places.kept())

    def run(self) -> Receipt:
        """Erase, and write the receipt. A run that was killed resumes with the first step that was not done.

        Raises Unavailable while another erasure runs, or if a build or a table does not become free in half an hour.
        """
        with try_lock(self._folder / "erasure.lock") as is_free:
            if not is_free:
                raise Unavailable("another erasure runs in this home", next_step="wait for its end, then run this one again")
            accounts = self._places.accounts.find(self._user_ids)
            path = self._folder / f"{self._make_id()}.journal"
            journal = self._read_journal(path) or Journal(self._clock())
            journal.accounts |= accounts
            self._write_journal(path, journal)
            for step in self._list_steps(journal):
                if step.name not in journal.done:
                    self._run_step(step, path, journal)
            receipt = self._write_receipt(journal)
            for one in (path, find_draft(path)):
                one.unlink(missing_ok=True)
        return receipt

    def _list_steps(self, journal: Journal) -> list[Step]:
        """The steps; of an account that is to be disconnected, the events of its listener go."""
        named = self._user_ids
        if self._scope is Scope.SPOTIFY_API:
            named = frozenset(journal.accounts.get(user_id, user_id) for user_id in named)
        return list_steps(self._places, Person(named, self._scope), journal, self._clock)

    def _run_step(self, step: Step, path: Path, journal: Journal) -> None:
        self._reporter.begin(step.name)
        expected = 0 if step.count is None else step.count()
        if expected > journal.deleted.get(step.name, 0):  # kept first: a step that is killed after its commit finds nothing more
            journal.deleted[step.name] = expected
            self._write_journal(path, journal)
        deleted = step.run()
        journal.deleted[step.name] = max(deleted, journal.deleted.get(step.name, 0))
        journal.done.append(step.name)
        self._write_journal(path, journal)
        self._reporter.end(f"{journal.deleted[step.name]:,}")

    def _make_id(self) -> str:
        hashes = self._places.lake.tombstones.hash(self._user_ids)
        return hashlib.sha256("".join([self._scope, *sorted(hashes.values())]).encode()).hexdigest()[:16]

    def _read_journal(self, path: Path) -> Journal | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Journal)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as cause:
            log.warning("%s is unreadable, the erasure begins with its first step: %s", path, cause)
            return None

    def _write_journal(self, path: Path, journal: Journal) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path, msgspec.json.encode(journal).decode(), is_private=True, sync=True)

    def _write_receipt(self, journal: Journal) -> Receipt:
        now = self._clock()
        receipt = Receipt(
            id=f"{now:%Y%m%dT%H%M%SZ}-{self._make_id()}",
            action=_ACTION[self._scope],
            listeners=tuple(sorted(self._places.lake.tombstones.hash(self._user_ids).values())),
            begun_at=journal.begun_at,
            ended_at=now,
            accounts=len(journal.accounts),
            deleted={name: count for name, count in journal.deleted.items() if count},
            kept=self._places.kept(),
            not_covered=_NOT_COVERED,
        )
        folder = self._folder / "receipts"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(folder / f"{receipt.id}.json", msgspec.json.encode(receipt).decode(), is_private=True, sync=True)
        return receipt
