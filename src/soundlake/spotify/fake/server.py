"""Serves the fake over HTTP on one port: sign-in, Web API and admin calls."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from soundlake.errors import UsageError
from soundlake.spotify.fake.asgi import make_app
from soundlake.spotify.fake.service import FakeSpotify

_STARTING_SECONDS = 30.0


def bind(host: str, port: int) -> socket.socket:
    """A socket on this address; port 0 takes a free one. Raises UsageError if the port is taken."""
    listening = socket.socket(socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # clients may connect from now on, and are answered once the server runs
    except OSError as error:
        listening.close()
        raise UsageError(f"{host}:{port}: {error.strerror}", next_step="choose another port: `--port`") from error
    return listening


def serve(fake: FakeSpotify, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    _make_server(fake).run([listening])


@contextmanager
def serve_in_thread(fake: FakeSpotify) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1 while the block runs; gives the address."""
    listening = bind("127.0.0.1", 0)
    server = _make_server(fake)
    thread = threading.Thread(target=server.run, args=([listening],), name="fake-spotify")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_STARTING_SECONDS)
        listening.close()


def _make_server(fake: FakeSpotify) -> uvicorn.Server:
    # broken answers are meant, and uvicorn would log each as an error; the date is the fake's, not the machine's
    config = uvicorn.Config(make_app(fake), log_config=None, log_level="critical", date_header=False, lifespan="off")
    config.timeout_graceful_shutdown = 1  # answers that never end would hold it up
    return uvicorn.Server(config)
