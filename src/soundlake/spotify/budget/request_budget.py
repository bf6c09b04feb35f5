"""The request budget in a file, under a lock: every process of a home counts into it before it calls."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from soundlake.broker.protocol import Clock, read_utc_now
from soundlake.errors import SoundlakeError
from soundlake.local_files import hold_lock, write_file
from soundlake.spotify.budget.ledger import App, AppUse, Ledger, Limits, Park, Purpose
from soundlake.spotify.errors import BudgetSpent
from soundlake.spotify.refusals import Party, Refusal

log = logging.getLogger(__name__)


class RequestBudget:
    """Counts the calls of all processes of a home, and parks who has to wait. No method waits for anything but the lock."""

    def __init__(self, path: Path, limits: Limits | None = None, clock: Clock = read_utc_now) -> None:
        self._path, self._limits, self._clock = path, limits or Limits(), clock
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def check(self, app: App, account: str) -> None:
        """Raises the error of a park, if there is one."""
        if park := self.find_park(app, account):
            raise _make_error(park, account)

    def take(self, app: App, account: str, purpose: Purpose) -> None:
        """Count a call that is about to be made. Raises the error of a park, or BudgetSpent; then no call may be made."""
        now_ms = self._read_clock_ms()
        with self._change() as ledger:
            if park := ledger.find_park(app, account, now_ms):
                raise _make_error(park, account)
            if wait_ms := ledger.find_wait_ms(app, purpose, self._limits, now_ms):
                raise BudgetSpent(read_ms(wait_ms))
            ledger.record_call(app, account, purpose, now_ms)

    def record_refusal(self, app: App, account: str, refusal: Refusal) -> SoundlakeError:
        """Park who shares the reason of a refused call; the error for its caller."""
        with self._change() as ledger:
            park = ledger.record_refusal(app, account, refusal, self._read_clock_ms())
        error = _make_error(park, account)
        log.warning("%s %s waits: %s", park.party, park.name or "of this home", error.message)
        return error

    def release(self, account: str) -> None:
        """End what only this account waits for; it has signed in again."""
        with self._change() as ledger:
            ledger.parks = [park for park in ledger.parks if (park.party, park.name) != (Party.ACCOUNT, account)]

    def forget(self, account: str) -> None:
        """Forget an account: when it called last, and what it waits for. The calls still count: Spotify counts them too."""
        with self._change() as ledger:
            ledger.forget(account)

    def find_park(self, app: App, account: str) -> Park | None:
        """What an account waits for, if it does."""
        return self._read().find_park(app, account, self._read_clock_ms())

    def list_parks(self) -> list[Park]:
        """Everybody who waits."""
        return self._read().list_parks(self._read_clock_ms())

    def measure_use(self, app: App) -> AppUse:
        """How much of its budget an app has used."""
        return self._read().measure_use(app, self._limits, self._read_clock_ms())

    @contextmanager
    def _change(self) -> Iterator[Ledger]:
        with hold_lock(self._path.with_suffix(".lock")):
            ledger = self._read()
            yield ledger
            write_file(self._path, msgspec.json.encode(ledger).decode(), is_private=True)

    def _read(self) -> Ledger:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Ledger)
        except FileNotFoundError:
            return Ledger()
        except msgspec.DecodeError as cause:
            log.warning("%s is unreadable, the request budget begins empty: %s", self._path, cause)
            return Ledger()

    def _read_clock_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)


def read_ms(ms: int) -> datetime:
    """The time of milliseconds since 1970, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def _make_error(park: Park, account: str) -> SoundlakeError:
    return park.reason.make_error(account, None if park.until_ms is None else read_ms(park.until_ms))
