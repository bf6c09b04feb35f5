"""dbt in a process of its own: sends it commands, and receives its progress and results."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from soundlake.errors import Unavailable
from soundlake.settings import extend_environment

Progress = Callable[[str, str], None]
"""Called with the name of a model or test and `started` or `finished`."""


@dataclass(frozen=True)
class NodeResult:
    """The result of one model or test."""

    name: str
    kind: str
    status: str
    message: str | None
    seconds: float


@dataclass(frozen=True)
class DbtResult:
    """The result of one dbt command."""

    success: bool
    exception: str | None
    nodes: tuple[NodeResult, ...]

    @property
    def failures(self) -> tuple[NodeResult, ...]:
        """The models and tests that failed, without those skipped because of them."""
        return tuple(node for node in self.nodes if node.status in ("error", "fail", "runtime error"))


WORKER = (sys.executable, "-m", "soundlake.warehouse.dbt_worker")


class DbtProcess:
    """A dbt process. The first call of `run` starts it, `close` ends it."""

    def __init__(self, environment: Mapping[str, str], worker: Sequence[str] = WORKER) -> None:
        logging = {"DBT_QUIET": "true", "DBT_LOG_LEVEL": "none", "DBT_LOG_LEVEL_FILE": "info", "PYTHONWARNINGS": "ignore"}
        artifacts = {"DBT_WRITE_JSON": "false"}  # saves a second a build; `soundlake dbt docs generate` writes them
        self._environment = extend_environment({**environment, **logging, **artifacts})
        self._worker = worker
        self._process: subprocess.Popen[str] | None = None

    def run(self, arguments: Sequence[str], on_progress: Progress | None = None) -> DbtResult:
        """Run one dbt command to its end. Raises Unavailable if the process dies before that."""
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"arguments": list(arguments), "reuse_manifest": arguments[0] in ("build", "run", "test")}
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                message = json.loads(line)
                if message["event"] == "result":
                    return _read_result(message)
                if on_progress is not None:
                    on_progress(message["node"], message["event"])
        except BrokenPipeError:
            pass  # the process died before it read the request
        except BaseException:
            self.kill()
            self.close()
            raise
        self._process = None
        with suppress(BrokenPipeError):  # closing flushes what the process did not read
            process.stdin.close()
        process.stdout.close()
        raise Unavailable(
            f"dbt ended before its work was done (exit code {process.wait()})", next_step="run it again: the next build repairs it"
        )

    def kill(self) -> None:
        """Send SIGKILL; the running model is rolled back, and a `run` in progress raises Unavailable."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                self._worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=self._environment
            )
        return self._process


def _read_result(message: Mapping[str, Any]) -> DbtResult:
    nodes = tuple(NodeResult(n["node"], n["kind"], n["status"], n["message"], n["seconds"]) for n in message["nodes"])
    return DbtResult(message["success"], message["exception"], nodes)
