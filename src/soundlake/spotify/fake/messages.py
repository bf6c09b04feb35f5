"""Requests and answers of the fake, apart from any web framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

import orjson

Failure = Literal["closed", "endless", "refused", "unresolved", "timeout"]
"""How an exchange ends without a whole answer: closed in the middle of it, never ended, no connection, no address, no first byte."""

NOT_REGISTERED = "User not registered in the Developer Dashboard"
OWNER_NEEDS_PREMIUM = "Active premium subscription required for the owner of the app."
"""Sentences of the gateway in front of the Web API, as text/plain with 403."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; names of headers are in lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def form(self) -> dict[str, str]:
        """The body's fields, of a form that a page or a token request sends."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, or the failure in its place; `delay_s` is the time until its first byte, by the fake's clock."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    failure: Failure | None = None
    delay_s: float = 0.0


def answer_json(value: Any, status: int = 200, **headers: str) -> Answer:  # noqa: ANN401  # any JSON value
    """An answer with a JSON body; `retry_after="7"` is the header Retry-After."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, orjson.dumps(value), {"content-type": "application/json; charset=utf-8", **named})


def answer_text(text: str, status: int = 200, kind: str = "text/plain", **headers: str) -> Answer:
    """An answer with a body of text; `kind` is its content type."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, text.encode(), {"content-type": f"{kind}; charset=utf-8", **named})


def answer_error(status: int, message: str, **details: str) -> Answer:
    """An error of the Web API in its usual form."""
    return answer_json({"error": {"status": status, "message": message, **details}}, status)


class Refusal(Exception):
    """Ends the handling of a request with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer
