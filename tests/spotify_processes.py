"""Processes that refresh one account's token, or take calls of one budget, at once; a fake Spotify behind a socket."""

from __future__ import annotations

import os
import signal
import ssl
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
from tests.spotify_home import SpotifyHome

from soundlake.errors import SoundlakeError
from soundlake.spotify.auth import SpotifyAuth
from soundlake.spotify.budget import App, Limits, Purpose, RequestBudget
from soundlake.spotify.errors import BudgetSpent
from soundlake.spotify.fake import AdjustableClock, FakeApp, FakeSpotify
from soundlake.spotify.fake.messages import Request
from soundlake.spotify.tokens import AccessTokens, FileTokenStore

_forks = get_context("forkserver")
_loaded = [name for name in sys.modules if name.startswith("soundlake.")]
_forks.set_forkserver_preload([__name__, *_loaded])  # fifty interpreters that import everything would take minutes

_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to read the usual ones takes each process a fifth of a second


@dataclass(frozen=True)
class Refreshes:
    """What many processes ended with: calls for a token, their access tokens, and the file's mode."""

    posts: int
    access_tokens: list[str]
    mode: int
    is_refresh_token_right: bool


def refresh_in_processes(folder: Path, count: int, *, rotates: bool) -> Refreshes:
    """Let `count` processes ask for a token that has run out, all at the same moment."""
    fake = FakeSpotify(AdjustableClock(datetime.now(UTC)))
    fake.add_app(FakeApp(rotates_refresh_tokens=rotates))
    home = SpotifyHome(fake, fake.clock, folder)
    account = home.connect("u1").account
    before = replace(home.store.read(account), expires_at=datetime.now(UTC) - timedelta(seconds=1))
    home.store.write(before)
    posts = home.count_calls("/api/token")
    with serve(fake) as url, _forks.Manager() as manager:
        barrier, results = manager.Barrier(count), manager.list()
        processes = [_forks.Process(target=ask_for_token, args=(folder, url, account, barrier, results)) for _ in range(count)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        tokens = list(results)
    assert len(tokens) == count
    path = home.store.find_path(account)
    has_changed = home.store.read(account).refresh_token != before.refresh_token
    return Refreshes(home.count_calls("/api/token") - posts, tokens, stat.S_IMODE(path.stat().st_mode), has_changed == rotates)


def ask_for_token(folder, url, account, barrier, results):
    """One process: wait for the others, then ask."""
    with httpx.Client(timeout=60, verify=_NO_AUTHORITIES) as http:
        tokens = AccessTokens(FileTokenStore(folder / "accounts"), lambda one: SpotifyAuth(http, one.client_id, accounts_url=url))
        barrier.wait()
        try:
            results.append(tokens.get(account))
        except SoundlakeError as error:
            results.append(type(error).__name__)


def take_calls_in_processes(path: Path, limits: Limits, count: int) -> int:
    """Let `count` processes take calls of one budget at the same moment until it refuses; how many calls they got together."""
    with _forks.Manager() as manager:
        barrier, results = manager.Barrier(count), manager.list()
        processes = [_forks.Process(target=_take_calls, args=(path, limits, barrier, results)) for _ in range(count)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert len(results) == count
        return sum(results)


def _take_calls(path, limits, barrier, results):
    """One process: wait for the others, then call until no call is left."""
    budget, taken = RequestBudget(path, limits), 0
    barrier.wait()
    with suppress(BudgetSpent):
        while True:
            budget.take(App("app", "developer"), "u1", Purpose.HISTORY)
            taken += 1
    results.append(taken)


class StoreThatDies(FileTokenStore):
    """Kills its process before the nth write, or after it."""

    def __init__(self, folder, write, *, after=False):
        super().__init__(folder)
        self._left, self._after = write, after

    def write(self, connection):
        self._left -= 1
        if not self._left and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        super().write(connection)
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


def refresh_and_die(folder, url, account, write, after):
    """One process that is killed around a write of its refresh."""
    with httpx.Client(timeout=60, verify=_NO_AUTHORITIES) as http:
        store = StoreThatDies(folder / "accounts", write, after=after)
        AccessTokens(store, lambda one: SpotifyAuth(http, one.client_id, accounts_url=url)).get(account)


def start_refresh_that_dies(*arguments):
    """Run refresh_and_die in a process of its own to its end; the exit code."""
    process = _forks.Process(target=refresh_and_die, args=arguments)
    process.start()
    process.join()
    return process.exitcode


@contextmanager
def serve(fake: FakeSpotify) -> Iterator[str]:
    """The fake at a free port of this machine; its address."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            parts = urlsplit(self.path)  # spotipy asks for /v1/me/, and Spotify answers
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with lock:
                answer = fake.answer(
                    Request(
                        self.command,
                        parts.path.rstrip("/"),
                        dict(parse_qsl(parts.query)),
                        {k.lower(): v for k, v in self.headers.items()},
                        body,
                    )
                )
            if answer.failure is not None:
                self.close_connection = True  # without an answer
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "content-length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST  # noqa: N815  # the name in http.server

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.request_queue_size = 128
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
