"""One service as it is kept alive: started, asked whether it answers, started again with back-off, ended with all its children."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from soundlake.errors import DataError, SoundlakeError, Unavailable, UsageError
from soundlake.operations.run_file import ProcessId, ServiceRecord, State, end_group
from soundlake.operations.servers.process import spawn
from soundlake.operations.service_logs import find_last_words, read_from

REFUSALS = frozenset({UsageError.exit_code, DataError.exit_code})
"""With these our own programs end when the same call will fail again."""

_MOST_DOUBLINGS = 10


def do_nothing() -> None:
    """For a service that needs no preparation."""


def is_always_ready() -> bool:
    """For a service that cannot be asked."""
    return True


@dataclass(frozen=True)
class Service:
    """One program that shall run: its name, its command and, where it has one, the address a user opens.

    `prepare` is called before each start; `is_ready` until it says so, and from then on to see that it still answers. `environment` is
    added to that of all. An exit code in `refusals` says that another start will not help, so that the next one has time.
    """

    name: str
    command: tuple[str, ...]
    address: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = do_nothing
    is_ready: Callable[[], bool] = is_always_ready
    refusals: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Patience:
    """How often a service is asked, and how long is waited for what. Silence is counted in answers that did not come.

    One that has been silent for `hopeless_answers` (five minutes) is ended by force and started again: by then nothing waits for it
    that a restart would take away, and its data are safe from SIGKILL.
    """

    ask_seconds: float = 5.0
    silent_answers: int = 3
    hopeless_answers: int = 60
    backoff_seconds: float = 1.0
    longest_backoff_seconds: float = 30.0
    refused_backoff_seconds: float = 60.0
    longest_refused_backoff_seconds: float = 600.0
    healthy_after_seconds: float = 30.0


class KeptService:
    """A service and its process; `look` is called again and again, and does what is due."""

    def __init__(self, service: Service, log: Path, environment: Mapping[str, str], patience: Patience, now: float) -> None:
        """Start it; raises Unavailable if that cannot be."""
        self.service, self.log = service, log
        self._environment, self._patience = environment, patience
        self._is_ready = False
        self._ask_at, self._unanswered = now, 0
        self._failures, self._restarts = 0, 0
        self._restart_at: float | None = None
        self._last_error: str | None = None
        self._spawn(now)

    @property
    def has_ended(self) -> bool:
        """Its process is not there now."""
        return self._process.poll() is not None

    def look_for_readiness(self) -> bool:
        """Whether it has answered since it was started; asks if it has not yet."""
        self._is_ready = self._is_ready or (not self.has_ended and self.service.is_ready())
        return self._is_ready

    def look(self, now: float) -> list[str]:
        """Do what is due; a line for each thing that happened."""
        code = self._process.poll()
        if code is None:
            return self._ask(now) if self._is_ready else self._await_first_answer(now)
        if self._restart_at is None:
            return [self._note_end(code, now)]
        return self._start_again(now) if now >= self._restart_at else []

    def ask_to_end(self) -> None:
        """SIGTERM, to the service alone: it knows what its children need."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def end(self, seconds: float) -> None:
        """Wait for its end, by force after so long; nothing of its process group is left."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        end_group(self._process.pid)
        self._process.wait()

    def describe(self) -> ServiceRecord:
        """As it is written down for others."""
        state = State.RUNNING if self._is_ready else State.STARTING
        if self._unanswered >= self._patience.silent_answers:
            state = State.SILENT
        if self._restart_at is not None:
            state = State.WAITING
        return ServiceRecord(
            name=self.service.name,
            state=state,
            process=None if state is State.WAITING else ProcessId.of(self._process.pid),
            since=self._since,
            restarts=self._restarts,
            log=self.log,
            address=self.service.address,
            last_error=self._last_error,
        )

    def _await_first_answer(self, now: float) -> list[str]:
        self._ask_at = now + self._patience.ask_seconds
        self.look_for_readiness()
        return []

    def _ask(self, now: float) -> list[str]:
        if now < self._ask_at:
            return []
        self._ask_at = now + self._patience.ask_seconds
        before, self._unanswered = self._unanswered, 0 if self.service.is_ready() else self._unanswered + 1
        if self._unanswered == self._patience.silent_answers:
            return [f"{self.service.name} does not answer any more; see {self.log}"]
        if self._unanswered >= self._patience.hopeless_answers:
            end_group(self._process.pid)
            return [f"{self.service.name} has not answered {self._unanswered} times: it is ended by force and started again"]
        return [f"{self.service.name} answers again"] if before >= self._patience.silent_answers and not self._unanswered else []

    def _note_end(self, code: int, now: float) -> str:
        end_group(self._process.pid)  # what it left behind would go on beside the next one
        if now - self._started_at > self._patience.healthy_after_seconds:
            self._failures = 0
        said = find_last_words(read_from(self.log, self._log_begun))
        self._last_error = f"ended with code {code}" + (f": {said}" if said else "")
        is_refused = code in self.service.refusals
        return f"{self.service.name} ended with code {code}: {self._postpone(now, is_refused=is_refused)}"

    def _start_again(self, now: float) -> list[str]:
        """What cannot be started now (a full disk, a program that is gone) is tried again later: the others need their supervisor."""
        try:
            self._spawn(now)
        except (SoundlakeError, OSError) as error:
            self._last_error = f"cannot be started: {error}"
            return [f"{self.service.name} cannot be started ({error}): {self._postpone(now)}"]
        self._restart_at = None
        self._restarts += 1
        return []

    def _postpone(self, now: float, *, is_refused: bool = False) -> str:
        """A refusal has more time: what it asks for is for a person to mend."""
        first, longest = self._patience.backoff_seconds, self._patience.longest_backoff_seconds
        if is_refused:
            first, longest = self._patience.refused_backoff_seconds, self._patience.longest_refused_backoff_seconds
        wait = min(longest, first * 2.0 ** min(self._failures, _MOST_DOUBLINGS))
        self._failures += 1
        self._restart_at, self._is_ready, self._unanswered = now + wait, False, 0
        return f"starting it again in {wait:.0f} s; see {self.log}"

    def _spawn(self, now: float) -> None:
        self.service.prepare()
        if shutil.which(self.service.command[0]) is None:
            raise Unavailable(f"{self.service.name}: cannot start {self.service.command[0]}: no such program", next_step="run `make setup`")
        with self.log.open("ab") as log:
            self._log_begun = log.tell()
            self._process = spawn(self.service.command, {**self._environment, **self.service.environment}, log)
        self._started_at, self._since = now, datetime.now(UTC)
