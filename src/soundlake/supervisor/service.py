"""What a supervisor is given: a service's definition, and the policy by which services are probed and restarted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from soundlake.errors import DataError, UsageError

NON_RETRYABLE_EXIT_CODES = frozenset({UsageError.exit_code, DataError.exit_code})
"""Exit codes of our own programs (2 and 3) after which the same command fails again until a person fixes the cause."""


@dataclass(frozen=True)
class Service:
    """One program to keep running: its name, its command and, where it has one, the address that a user opens.

    `prepare` is called before each start. `is_ready` is polled until it first returns true (readiness), and from then on at intervals
    (liveness). `environment` is added to the environment of all services. After an exit code in `non_retryable_exit_codes` the next
    start waits longer.
    """

    name: str
    command: tuple[str, ...]
    address: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    is_ready: Callable[[], bool] = lambda: True
    non_retryable_exit_codes: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Backoff:
    """Exponential back-off between two limits, in seconds."""

    first_seconds: float
    longest_seconds: float

    def wait_seconds(self, failures: int) -> float:
        """The wait after so many earlier failures: `first_seconds`, doubled each time, at most `longest_seconds`."""
        return min(self.longest_seconds, self.first_seconds * 2.0 ** min(failures, 30))


@dataclass(frozen=True)
class RestartPolicy:
    """How often a service is probed, and how long the supervisor waits before it restarts one.

    A service is reported as not answering after `unresponsive_after_probes` failed probes in a row, and is killed and restarted after
    `restart_after_probes` (five minutes): nothing that a restart would lose is still in progress by then, and its data survive SIGKILL.
    The failure count starts at zero again after a run of `healthy_after_seconds`.
    """

    probe_interval_seconds: float = 5.0
    unresponsive_after_probes: int = 3
    restart_after_probes: int = 60
    backoff: Backoff = Backoff(1.0, 30.0)
    non_retryable_backoff: Backoff = Backoff(60.0, 600.0)
    healthy_after_seconds: float = 30.0
