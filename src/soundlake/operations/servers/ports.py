"""Ports on this machine: which are free, and whether a server answers on one."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException

from soundlake.errors import Unavailable

LOOPBACK = "127.0.0.1"
_LOWEST, _HIGHEST = 20_000, 22_700  # also with 10,000 added below the ephemeral ports (32,768 on)
_ATTEMPTS = 200
ANSWER_SECONDS = 2.0
"""Time limit of a small request to a healthy server, also on a busy machine."""


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def is_answering(port: int, host: str = LOOPBACK) -> bool:
    """Whether a process listens there; a hung server still counts, since the kernel accepts connections for it."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0


def is_serving(port: int, path: str, host: str = LOOPBACK) -> bool:
    """Whether a server answers this path over HTTP with a status below 500; 403 counts as an answer."""
    connection = HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500  # noqa: PLR2004  # server errors
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def find_free_block(size: int = 10) -> int:
    """The first of `size` consecutive free ports, chosen at random. Raises Unavailable if none is found."""
    for _ in range(_ATTEMPTS):
        first = random.randrange(_LOWEST, _HIGHEST, 10)
        if all(is_free(port) and is_free(port + 10_000) for port in range(first, first + size)):
            return first
    raise Unavailable(f"no {size} free ports in a row on {LOOPBACK}", next_step="stop servers that are no longer needed")


def check_free(name: str, ports: Mapping[str, int], setting: str) -> None:
    """Raises Unavailable naming the server, the first port that is taken and the setting that moves it."""
    for purpose, port in ports.items():
        if not is_free(port):
            raise Unavailable(
                f"{name}: port {port} ({purpose}) on {LOOPBACK} is taken",
                next_step=f"stop the process that listens there, or set {setting} to another port",
            )
