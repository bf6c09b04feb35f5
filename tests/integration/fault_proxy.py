"""A proxy in front of an object store that injects the faults of networks and of other stores: lost responses, lost or rejected requests.

A separate process, since delta-rs holds the interpreter while it waits for some responses: fault_proxy.py STORE_PORT FAULTS-AS-JSON.
Prints its port, serves until its input ends, then prints the counts of requests by fault, as JSON. A line of input replaces its faults.
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
LARGEST_CLOCK_SKEW = timedelta(minutes=15)
"""The limit of Amazon S3."""
HOP_BY_HOP_HEADERS = ("connection", "transfer-encoding", "content-length")


@dataclass(frozen=True)
class Faults:
    """The share of requests with each fault, from the first one of method `begin_with` on; `rejection` is the response to rejected ones.

    The proxy can also act as another store: with a clock that is ahead, in another region, or one that ignores conditions. Conditions
    (If-None-Match) are signed, so a put with one is made again without it, with the storage options `overwrite_with`.
    """

    lost_responses: float = 0.0
    lost_requests: float = 0.0
    rejected: float = 0.0
    rejection: tuple[int, str] = SLOW_DOWN
    begin_with: str = ""
    clock_ahead_seconds: float = 0.0
    region: str = ""
    overwrite_with: dict[str, str] = field(default_factory=dict)
    seed: int = 20261122


@dataclass
class Proxy:
    """A running proxy. After it has ended, `counts` has the number of requests by method and fault."""

    endpoint: str
    process: subprocess.Popen[str]
    counts: Counter[str] = field(default_factory=Counter)

    def change(self, faults: Faults) -> None:
        """Replace the faults, for requests from now on."""
        self.process.stdin.write(json.dumps(asdict(faults)) + "\n")
        self.process.stdin.flush()


@contextmanager
def open_proxy(store_port: int, faults: Faults) -> Iterator[Proxy]:
    """A proxy in front of the store on that local port."""
    command = [sys.executable, __file__, str(store_port), json.dumps(asdict(faults))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    proxy = Proxy(f"http://127.0.0.1:{process.stdout.readline().strip()}", process)
    try:
        yield proxy
    finally:
        proxy.counts.update(json.loads(process.communicate(timeout=30)[0]))


class Handler(BaseHTTPRequestHandler):
    """Forwards requests, or injects the fault that was drawn."""

    protocol_version = "HTTP/1.1"
    store_port: int
    faults: Faults
    has_begun: bool
    random: random.Random
    counts: Counter[str]

    def relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault, rejection = self.draw_fault()
        self.counts[f"{self.command} {fault}"] += 1
        if fault == "lost_request":
            self.close_connection = True
        elif rejection:
            self.respond(rejection[0], {"Content-Type": "application/xml"}, rejection[1].encode())
        else:
            response = self.forward(body)
            if fault == "lost_response":
                self.close_connection = True
            else:
                self.respond(*response)

    def draw_fault(self) -> tuple[str, tuple[int, str] | None]:
        """The fault of this request, and the response if it is rejected."""
        if not Handler.has_begun and self.command != self.faults.begin_with:
            return "none", None
        Handler.has_begun = True
        if self.faults.region and self.faults.region != self.read_region():
            return "other_region", OTHER_REGION
        if abs(datetime.now(UTC) + timedelta(seconds=self.faults.clock_ahead_seconds) - self.read_time()) > LARGEST_CLOCK_SKEW:
            return "skewed", SKEWED
        point = self.random.random()
        shares = {"lost_response": self.faults.lost_responses, "lost_request": self.faults.lost_requests, "rejected": self.faults.rejected}
        for name, share in shares.items():
            if point < share:
                return name, self.faults.rejection if name == "rejected" else None
            point -= share
        return "none", None

    def read_region(self) -> str:
        return re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers["Authorization"])[1]

    def read_time(self) -> datetime:
        return datetime.strptime(self.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.faults.overwrite_with and "If-None-Match" in self.headers:
            return self.overwrite(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.store_port, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def overwrite(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        bucket, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        stored = obstore.put(open_store(f"s3://{bucket}", self.faults.overwrite_with), key, body, mode="overwrite")
        return 200, {"ETag": stored["e_tag"]}, b""

    def respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def log_message(self, *args: object) -> None:
        """Log nothing: requests are counted."""

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = relay  # noqa: N815  # the names that http.server calls


def set_faults(faults: Faults) -> None:
    Handler.faults, Handler.has_begun = faults, not faults.begin_with


def main() -> None:
    Handler.store_port, found = int(sys.argv[1]), json.loads(sys.argv[2])
    set_faults(Faults(**found))
    Handler.random, Handler.counts = random.Random(found["seed"]), Counter()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for line in sys.stdin:
        set_faults(Faults(**json.loads(line)))
    print(json.dumps(Handler.counts), flush=True)


if __name__ == "__main__":
    main()
