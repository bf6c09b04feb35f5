"""The address of this machine that Spotify redirects a browser to at the end of a sign-in."""

from __future__ import annotations

import queue
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from soundlake.errors import Retryable, Unavailable
from soundlake.spotify.auth import SignIn

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Soundlake</title>
<body style="font-family: sans-serif; margin: 4em"><h1>{title}</h1><p>{text}</p></body></html>"""
_ANSWERED = _PAGE.format(title="Spotify has answered", text="Soundlake goes on in the terminal. This page can be closed.")
_NOT_OURS = _PAGE.format(title="Not this sign-in", text="The answer belongs to no sign-in that is under way. Begin again in the terminal.")


class NoAnswer(Retryable):
    """Nobody answered the page in time."""


class CallbackServer:
    """Listens at the redirect address while the block lasts; the browser may ask twice, and gets the same page twice.

    Raises Unavailable if the port is in use.
    """

    def __init__(self, redirect_uri: str, sign_in: SignIn) -> None:
        parts = urlsplit(redirect_uri)
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        handler = type("Handler", (_Handler,), {"wanted": parts.path or "/", "state": sign_in.state, "answers": self._answers})
        try:
            self._server = ThreadingHTTPServer((parts.hostname or "", parts.port or 0), handler)
        except OSError as cause:
            raise Unavailable(
                f"{redirect_uri}: the port is not free ({cause.strerror})", next_step="end what uses it, or sign in with --paste"
            ) from cause
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self._server.server_address[1])

    def wait(self, seconds: float) -> str:
        """The address with the answer. Raises NoAnswer after `seconds`."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            raise NoAnswer(f"no answer of the sign-in within {seconds:.0f} s", next_step="begin again, or sign in with --paste") from None


class _Handler(BaseHTTPRequestHandler):
    wanted: str
    state: str
    answers: queue.SimpleQueue[str]
    timeout = 10
    server_version, sys_version = "soundlake", ""

    def do_GET(self) -> None:  # the name in http.server
        """Take the answer of this sign-in; nothing else has an effect."""
        parts = urlsplit(self.path)
        if parts.path != self.wanted:
            self._answer(HTTPStatus.NOT_FOUND, "")
            return
        state = parse_qs(parts.query).get("state", [""])[0]
        if not secrets.compare_digest(state.encode(), self.state.encode()):
            self._answer(HTTPStatus.BAD_REQUEST, _NOT_OURS)
            return
        self.answers.put(self.path)
        self._answer(HTTPStatus.OK, _ANSWERED)

    def log_message(self, *_: object) -> None:
        """Nothing: the address holds the code."""

    def _answer(self, status: HTTPStatus, page: str) -> None:
        body = page.encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)
