"""One local server as a process of a test or benchmark: start, stop, kill, pause, restart on the same data."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

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
    """A server run by this process; its output goes to `<logs>/<name>.log`. Leaving the `with` block stops it."""

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
        """SIGSTOP: it keeps its connections and answers no request. Returns when every thread of it is stopped.

        The call to kill(2) returns before that: a broker on a busy machine still answered for some milliseconds.
        """
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self._process.pid}/task")
        deadline = time.monotonic() + STOP_SECONDS
        while not all(_is_stopped(task) for task in tasks.iterdir()):
            assert time.monotonic() < deadline, f"{self.server.name} does not stop on SIGSTOP"
            time.sleep(_POLL_SECONDS / 10)

    def resume(self) -> None:
        """SIGCONT: it continues."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.pid is not None:
            self.resume()
        self.stop()


def _is_stopped(task: Path) -> bool:
    """Whether a thread is stopped (state T in /proc/PID/task/TID/stat) or has ended."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0] in "TtZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
