"""A proxy before a store that does to requests what networks and busy stores do: answers get lost, requests are refused for now.

A process of its own (delta-rs keeps Python from running while it waits for some answers): fault_proxy.py STORE_PORT FAULTS-AS-JSON.
Prints its port, serves until its input ends, then prints what requests met, as JSON.
"""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_DOWN = (503, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
SKEWED = (403, "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>")
FORBIDDEN = (403, "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")
OTHER_REGION = (400, "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region is wrong</Message></Error>")
NOT_PASSED_ON = ("connection", "transfer-encoding", "content-length")


@dataclass(frozen=True)
class Faults:
    """Shares of the requests that meet a fault; `refusal` is what is answered instead of asking the store."""

    lost_answers: float = 0.0
    lost_requests: float = 0.0
    refused: float = 0.0
    refusal: tuple[int, str] = SLOW_DOWN
    seed: int = 20261122


@dataclass
class Proxy:
    """A running proxy; `met` counts requests by method and fault once it has ended."""

    endpoint: str
    met: Counter[str] = field(default_factory=Counter)


@contextmanager
def open_proxy(store_port: int, faults: Faults) -> Iterator[Proxy]:
    """A proxy before the store on that port of this machine."""
    command = [sys.executable, __file__, str(store_port), json.dumps(asdict(faults))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    proxy = Proxy(f"http://127.0.0.1:{process.stdout.readline().strip()}")
    try:
        yield proxy
    finally:
        proxy.met.update(json.loads(process.communicate(timeout=30)[0]))


class Handler(BaseHTTPRequestHandler):
    """Passes requests on, or does to them what was drawn."""

    protocol_version = "HTTP/1.1"
    store_port: int
    faults: Faults
    chance: random.Random
    met: Counter[str]

    def relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.draw()
        self.met[f"{self.command} {fault}"] += 1
        if fault == "lost_request":
            self.close_connection = True
        elif fault == "refused":
            self.answer(self.faults.refusal[0], {"Content-Type": "application/xml"}, self.faults.refusal[1].encode())
        else:
            found = self.ask(body)
            if fault == "lost_answer":
                self.close_connection = True
            else:
                self.answer(*found)

    def draw(self) -> str:
        point = self.chance.random()
        shares = {"lost_answer": self.faults.lost_answers, "lost_request": self.faults.lost_requests, "refused": self.faults.refused}
        for name, share in shares.items():
            if point < share:
                return name
            point -= share
        return "none"

    def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
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


def main() -> None:
    Handler.store_port, found = int(sys.argv[1]), json.loads(sys.argv[2])
    Handler.faults = Faults(**found)
    Handler.chance, Handler.met = random.Random(found["seed"]), Counter()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    print(json.dumps(Handler.met), flush=True)


if __name__ == "__main__":
    main()
