"""A fake schema registry on 127.0.0.1: schemas by id, registering, versions, passwords, outages."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]

_NOT_FOUND: Answer = (404, {"error_code": 404, "message": "HTTP 404 Not Found"})  # of a path that a registry does not have


@dataclass
class FakeRegistry:
    """The schemas, and how requests are answered; `requests` are those received, as `GET /schemas/ids/1`."""

    url: str = ""
    login: str = ""
    failing: Answer | None = None
    schemas: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, list[int]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def register(self, subject: str, schema: str, kind: str = "AVRO", **more: object) -> int:
        """The id of the schema, which becomes a version of the subject; equal schemas have one id."""
        entry = {"schema": schema, "schemaType": kind, **more}
        if entry not in self.schemas:
            self.schemas.append(entry)
        schema_id = self.schemas.index(entry) + 1
        versions = self.versions.setdefault(subject, [])
        if schema_id not in versions:
            versions.append(schema_id)
        return schema_id

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        """The answer to one request."""
        path = path.partition("?")[0]
        if method == "GET" and (found := re.fullmatch(r"/schemas/ids/([0-9]+)", path)):
            return self._find_schema(int(found[1]))
        if found := re.fullmatch(r"/subjects/([^/]+)/versions(?:/([0-9]+|latest))?", path):
            subject, version = found[1], found[2]
            if method == "POST":
                kind = body.pop("schemaType", "AVRO")
                return 200, {"id": self.register(subject, body.pop("schema"), kind, **body)}
            return self._find_version(subject, version)
        return _NOT_FOUND

    def _find_schema(self, schema_id: int) -> Answer:
        if not 1 <= schema_id <= len(self.schemas):
            return 404, {"error_code": 40403, "message": f"Schema {schema_id} not found"}
        entry = self.schemas[schema_id - 1]
        return 200, {name: value for name, value in entry.items() if (name, value) != ("schemaType", "AVRO")}

    def _find_version(self, subject: str, version: str) -> Answer:
        if subject not in self.versions:
            return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
        ids = self.versions[subject]
        number = len(ids) if version == "latest" else int(version)
        return 200, {"subject": subject, "version": number, "id": ids[number - 1], **self.schemas[ids[number - 1] - 1]}


@contextmanager
def serve_registry(fake: FakeRegistry | None = None, port: int = 0) -> Iterator[FakeRegistry]:
    """Serve it for the block; `login` is user:password, `failing` is the answer to every request, `port` 0 chooses a free one."""
    served = fake or FakeRegistry()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            served.requests.append(f"{self.command} {self.path}")
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            expected = f"Basic {base64.b64encode(served.login.encode()).decode()}"
            if served.login and self.headers.get("Authorization") != expected:
                status, content = 401, {"error_code": 401, "message": "Unauthorized"}
            else:
                status, content = served.failing or served.answer(self.command, self.path, body)
            encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = _handle  # noqa: N815  # the names of the base class

        def log_message(self, *_: object) -> None:
            """No lines on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
