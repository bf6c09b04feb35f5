"""Redis as a cache with a memory limit (writes fail when it is full) and an append-only file on disk."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from soundlake.operations.servers.ports import ANSWER_SECONDS, LOOPBACK
from soundlake.operations.servers.private_files import read_or_make_key, write_private
from soundlake.operations.servers.programs import find_redis


@dataclass(frozen=True)
class RedisServer:
    """One Redis in a folder, with its own password."""

    folder: Path
    port: int
    memory: str = "512mb"
    name: str = "redis"
    setting: str = "SOUNDLAKE_REDIS_PORT"

    @property
    def ports(self) -> dict[str, int]:
        """The one port."""
        return {"clients": self.port}

    @cached_property
    def password(self) -> str:
        """The password of this folder, generated the first time."""
        return read_or_make_key(self.folder / "password")

    @property
    def address(self) -> str:
        """Its URL without the password."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def url(self) -> str:
        """Its URL, password included."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    @property
    def command(self) -> tuple[str, ...]:
        """The server and its configuration file, which holds all options."""
        return (str(find_redis()), str(self._configuration))

    @property
    def environment(self) -> dict[str, str]:
        """None."""
        return {}

    def prepare(self) -> None:
        """Write redis.conf with mode 0600."""
        options = {
            "bind": LOOPBACK, "port": self.port, "requirepass": self.password, "dir": _quote(str(self.folder)), "appendonly": "yes",
            "appendfsync": "everysec", "save": '""', "maxmemory": self.memory, "maxmemory-policy": "noeviction", "daemonize": "no",
        }  # fmt: skip
        write_private(self._configuration, "".join(f"{name} {value}\n" for name, value in options.items()))

    def is_ready(self) -> bool:
        """Whether it has loaded its data and answers PING."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=ANSWER_SECONDS) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (more := connection.recv(64)):  # noqa: PLR2004  # one line each
                    answer += more
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"

    def configure(self) -> None:
        """Nothing to do."""

    @property
    def _configuration(self) -> Path:
        return self.folder / "redis.conf"


def _quote(text: str) -> str:
    """A quoted argument for redis.conf."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
