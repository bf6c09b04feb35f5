"""A proxy before a store that does to requests what networks and other stores do: answers get lost, requests are refused for now.

A process of its own (delta-rs keeps Python from running while it waits for some answers): fault_proxy.py STORE_PORT FAULTS-AS-JSON.
Prints its port, serves until its input ends, then prints what requests met, as JSON. A line of input is what it does from then on.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import obstore

from soundlake.lake.object_store import open_store

SLOW_DOWN = (503, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
SKEWED = (403, "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>")
FORBIDDEN = (403, "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")
OTHER_REGION = (400, "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region is wrong</Message></Error>")
CLOCKS_DIFFER = timedelta(minutes=15)
"""As Amazon's own store measures it."""
NOT_PASSED_ON = ("connection", "transfer-encoding", "content-length")


@dataclass(frozen=True)
class Faults:
    """Shares of the requests that meet a fault, from the first of method `begin_with` on; `refusal` is answered instead.

    The store behind may be another one: with a clock that is ahead; of another region; deaf to conditions (If-None-Match), which are
    signed: what is put under one is put anew, by the storage options `deaf_by`.
    """

    lost_answers: float = 0.0
    lost_requests: float = 0.0
    refused: float = 0.0
    refusal: tuple[int, str] = SLOW_DOWN
    begin_with: str = ""
    clock_ahead_seconds: float = 0.0
    region: str = ""
    deaf_by: dict[str, str] = field(default_factory=dict)
    seed: int = 20261122


@dataclass
class Proxy:
    """A running proxy; `met` counts requests by method and fault once it has ended."""

    endpoint: str
    process: subprocess.Popen[str]
    met: Counter[str] = field(default_factory=Counter)

    def change(self, faults: Faults) -> None:
        """Do this to the requests that come from now on."""
        self.process.stdin.write(json.dumps(asdict(faults)) + "\n")
        self.process.stdin.flush()


@contextmanager
def open_proxy(store_port: int, faults: Faults) -> Iterator[Proxy]:
    """A proxy before the store on that port of this machine."""
    command = [sys.executable, __file__, str(store_port), json.dumps(asdict(faults))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    proxy = Proxy(f"http://127.0.0.1:{process.stdout.readline().strip()}", process)
    try:
        yield proxy
    finally:
        proxy.met.update(json.loads(process.communicate(timeout=30)[0]))


class Handler(BaseHTTPRequestHandler):
    """Passes requests on, or does to them what was drawn."""

    protocol_version = "HTTP/1.1"
    store_port: int
    faults: Faults
    has_begun: bool
    chance: random.Random
    met: Counter[str]

    def relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault, refusal = self.draw()
        self.met[f"{self.command} {fault}"] += 1
        if fault == "lost_request":
            self.close_connection = True
        elif refusal:
            self.answer(refusal[0], {"Content-Type": "application/xml"}, refusal[1].encode())
        else:
            found = self.ask(body)
            if fault == "lost_answer":
                self.close_connection = True
            else:
                self.answer(*found)

    def draw(self) -> tuple[str, tuple[int, str] | None]:
        """What the request meets, and what it is refused with if it is."""
        if not Handler.has_begun and self.command != self.faults.begin_with:
            return "none", None
        Handler.has_begun = True
        if self.faults.region and self.faults.region != self.read_region():
            return "other region", OTHER_REGION
        if abs(datetime.now(UTC) + timedelta(seconds=self.faults.clock_ahead_seconds) - self.read_time()) > CLOCKS_DIFFER:
            return "skewed", SKEWED
        point = self.chance.random()
        shares = {"lost_answer": self.faults.lost_answers, "lost_request": self.faults.lost_requests, "refused": self.faults.refused}
        for name, share in shares.items():
            if point < share:
                return name, self.faults.refusal if name == "refused" else None
            point -= share
        return "none", None

    def read_region(self) -> str:
        return re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers["Authorization"])[1]

    def read_time(self) -> datetime:
        return datetime.strptime(self.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.faults.deaf_by and "If-None-Match" in self.headers:
            return self.overwrite(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.store_port, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def overwrite(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        bucket, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        stored = obstore.put(open_store(f"s3://{bucket}", self.faults.deaf_by), key, body, mode="overwrite")
        return 200, {"ETag": stored["e_tag"]}, b""

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in NOT_PASSED_ON:
                self.send_header(name, value)
        self.send_header("Content-Length", headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def log_message(self, *args: object) -> None:
        """Say nothing: faults are counted."""

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = relay  # noqa: N815  # the names that http.server looks for


def begin(faults: Faults) -> None:
    Handler.faults, Handler.has_begun = faults, not faults.begin_with


def main() -> None:
    Handler.store_port, found = int(sys.argv[1]), json.loads(sys.argv[2])
    begin(Faults(**found))
    Handler.chance, Handler.met = random.Random(found["seed"]), Counter()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for line in sys.stdin:
        begin(Faults(**json.loads(line)))
    print(json.dumps(Handler.met), flush=True)


if __name__ == "__main__":
    main()
