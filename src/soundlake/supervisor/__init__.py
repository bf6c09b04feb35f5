"""Run programs as supervised services: start, probe, restart with back-off, stop in order. Knows nothing of what they do."""

from soundlake.supervisor.run_file import ProcessId, RunRecord, ServiceRecord, State, read_run
from soundlake.supervisor.service import NON_RETRYABLE_EXIT_CODES, Backoff, RestartPolicy, Service
from soundlake.supervisor.supervisor import Supervisor

__all__ = [
    "NON_RETRYABLE_EXIT_CODES",
    "Backoff",
    "ProcessId",
    "RestartPolicy",
    "RunRecord",
    "Service",
    "ServiceRecord",
    "State",
    "Supervisor",
    "read_run",
]
