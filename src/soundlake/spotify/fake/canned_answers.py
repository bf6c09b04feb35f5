"""Answers that a fault gives in place of the right one: refusals, limits, outages, broken bodies and broken connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from soundlake.spotify.fake.limits import refuse_quota
from soundlake.spotify.fake.messages import NOT_REGISTERED, OWNER_NEEDS_PREMIUM, Answer, Failure, answer_error, answer_json, answer_text

Details = Mapping[str, Any]

_HTML = "<html><head><title>502 Bad Gateway</title></head><body>upstream connect error</body></html>"
_HOURS_S = 19_056


def _respond(details: Details) -> Answer:
    """An answer given word for word: status, body (text or JSON), content_type, retry_after, headers, failure, delay_s."""
    body, kind = details.get("body", ""), details.get("content_type")
    status = int(details.get("status", 200))
    answer = answer_text(body, status) if isinstance(body, str) else answer_json(body, status)
    headers = dict(answer.headers)
    if kind is not None:
        headers["content-type"] = str(kind)
    if details.get("retry_after") is not None:
        headers["retry-after"] = str(details["retry_after"])
    headers |= {str(name).lower(): str(value) for name, value in details.get("headers", {}).items()}
    return Answer(status, answer.body, headers, details.get("failure"), float(details.get("delay_s", 0)))


def _fail(failure: Failure) -> Callable[[Details], Answer]:
    body = answer_json({"is_playing": True, "progress_ms": 1_000, "item": {"name": "cut in the middle"}})
    return lambda _: Answer(200, body.body, body.headers, failure)


def _retry_after(details: Details, seconds: int) -> str:
    return str(details.get("retry_after", seconds))


CANNED: dict[str, Callable[[Details], Answer]] = {
    "respond": _respond,
    "no_content": lambda _: Answer(204),
    "empty": lambda _: Answer(200, b"", {"content-type": "application/json; charset=utf-8"}),
    "html": lambda _: answer_text(_HTML, 200, "text/html"),
    "cut": lambda _: Answer(200, b'{"is_playing": true, "progress_', {"content-type": "application/json; charset=utf-8"}),
    "unauthorized": lambda _: answer_error(401, "Invalid access token"),
    "invalid_grant": lambda details: answer_json(
        {"error": "invalid_grant", "error_description": details.get("description", "Refresh token revoked")}, 400
    ),
    "forbidden": lambda _: answer_error(403, "Forbidden"),
    "forbidden_text": lambda _: answer_text("Access denied by the gateway", 403),
    "forbidden_empty": lambda _: answer_text("", 403),
    "not_registered": lambda _: answer_text(NOT_REGISTERED, 403),
    "owner_premium": lambda _: answer_text(OWNER_NEEDS_PREMIUM, 403),
    "rate_limited": lambda details: answer_text("Too many requests", 429, retry_after=_retry_after(details, 7)),
    "rate_limited_json": lambda details: _with_retry(answer_error(429, "API rate limit exceeded"), _retry_after(details, 7)),
    "rate_limited_hours": lambda details: answer_text("Too many requests", 429, retry_after=_retry_after(details, _HOURS_S)),
    "rate_limited_empty": lambda details: answer_json({}, 429, retry_after=_retry_after(details, 13_749)),
    "rate_limited_zero": lambda _: _with_retry(answer_error(429, "API rate limit exceeded"), "0"),
    "rate_limited_no_header": lambda _: answer_text("<html></html>", 429, "text/html"),
    "quota_exceeded": lambda details: refuse_quota(int(details.get("retry_after", 52_531))),
    "server_error": lambda _: answer_error(500, "Server error"),
    "bad_gateway": lambda _: answer_text(_HTML, 502, "text/html"),
    "unavailable": lambda _: answer_text("", 503),
    "gateway_timeout": lambda _: answer_text("upstream request timeout", 504),
    "closed": _fail("closed"),
    "endless": _fail("endless"),
    "refused": _fail("refused"),
    "unresolved": _fail("unresolved"),
    "timeout": _fail("timeout"),
}
"""What each kind answers; details of the fault may change Retry-After or the description."""


def _with_retry(answer: Answer, seconds: str) -> Answer:
    return Answer(answer.status, answer.body, {**answer.headers, "retry-after": seconds})
