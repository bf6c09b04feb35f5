"""One local server as a process of a test or benchmark: start, stop, kill, pause, restart on the same data."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.process_pause import pause_process, resume_process

from soundlake.errors import Unavailable
from soundlake.operations.servers import Server
from soundlake.operations.servers.ports import check_free
from soundlake.settings import extend_environment
from soundlake.supervisor.processes import spawn
from soundlake.supervisor.service_logs import read_from

READY_SECONDS = 90.0
STOP_SECONDS = 10.0  # SeaweedFS waits for its clients to disconnect; a kill costs it nothing
_POLL_SECONDS = 0.05


class ServerProcess:
    """A server run by this process; its output goes to `<logs>/<name>.log`. Leaving the `with` block kills it: its data are temporary."""

    def __init__(self, server: Server, logs: Path) -> None:
        self.server = server
        self.log = logs / f"{server.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The running process, if there is one."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> None:
        """Start it on its existing data and return when it is ready. Raises Unavailable if it does not become ready."""
        assert self.pid is None, f"{self.server.name} is running already"
        check_free(self.server.name, self.server.ports, self.server.setting)
        self.server.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = spawn(self.server.command, extend_environment(self.server.environment), log)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return when it is ready. Raises Unavailable, with the end of its log, if it ended or takes too long."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.server.is_ready():
            if self.pid is None or time.monotonic() > deadline:
                self.kill()
                raise Unavailable(f"{self.server.name} did not become ready: {read_from(self.log, 0)[-1000:]}", next_step=f"see {self.log}")
            time.sleep(_POLL_SECONDS)
        self.server.configure()

    def stop(self) -> None:
        """SIGTERM and wait; SIGKILL after a timeout."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL: a power failure, except that the page cache survives."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Stop it if it runs, and start it again on the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers no request. Returns when every thread of it is stopped."""
        assert self._process is not None
        pause_process(self._process.pid)

    def resume(self) -> None:
        """SIGCONT: it continues."""
        assert self._process is not None
        resume_process(self._process.pid)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
