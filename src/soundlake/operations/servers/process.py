"""One server as a process: start it and wait until it is ready, stop it, kill it, hold it, start it again on the same data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from soundlake.errors import Unavailable
from soundlake.operations.servers.ports import check_free
from soundlake.operations.servers.protocol import Server
from soundlake.settings import extend_environment

READY_SECONDS = 90.0
STOP_SECONDS = 10.0  # an object store waits for its clients to hang up, and is none the worse for not waiting
_LEASH = str(Path(__file__).with_name("leash.py"))
_POLL_SECONDS = 0.05


def spawn(command: Sequence[str], environment: Mapping[str, str], log: IO[bytes], folder: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a command that ends with this process; a session of its own keeps Ctrl-C from it. Call it in the main thread."""
    leash = (sys.executable, "-I", "-S", _LEASH, str(os.getpid()))
    return subprocess.Popen(
        (*leash, *command), env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=folder
    )


class ServerProcess:
    """A server that this process runs. What it prints goes to `<logs>/<name>.log`; used in `with`, it is stopped at the end."""

    def __init__(self, server: Server, logs: Path) -> None:
        self.server = server
        self.log = logs / f"{server.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The running process, if there is one."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> None:
        """Start it, on the data that is there, and return when it takes requests. Raises Unavailable if it does not come up."""
        assert self.pid is None, f"{self.server.name} runs already"
        check_free(self.server.name, self.server.ports, self.server.setting)
        self.server.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = spawn(self.server.command, extend_environment(self.server.environment), log)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return when it takes requests. Raises Unavailable, with the end of its log, if it ended or takes too long."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.server.is_ready():
            if self.pid is None or time.monotonic() > deadline:
                self.kill()
                raise Unavailable(f"{self.server.name} did not come up: {read_tail(self.log)}", next_step=f"see {self.log}")
            time.sleep(_POLL_SECONDS)
        self.server.settle()

    def stop(self) -> None:
        """Ask it to end and wait; by force if it does not listen."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL: as if the power went, but for what the system had in memory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Start it again on the same data after `stop` or `kill`; one that runs is stopped first."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nobody."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on, and does not know that time went by."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.pid is not None:
            self.resume()
        self.stop()


def read_tail(log: Path, lines: int = 5) -> str:
    """The last lines of a log, for a message."""
    try:
        return " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]) or "it printed nothing"
    except OSError:
        return "it printed nothing"
