"""The fake as an ASGI application, for a server or for httpx.ASGITransport."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from soundlake.spotify.fake.messages import Answer, Request
from soundlake.spotify.fake.service import FakeSpotify


def make_app(fake: FakeSpotify) -> ASGIApp:
    """Both hosts and the admin calls, routed by path."""

    async def answer(request: HttpRequest) -> Response | _BrokenResponse:
        reply = fake.answer(
            Request(request.method, request.url.path, dict(request.query_params), dict(request.headers), await request.body())
        )
        if reply.delay_s:
            await fake.clock.sleep(reply.delay_s)
        return Response(reply.body, reply.status, reply.headers) if reply.failure is None else _BrokenResponse(reply)

    methods = ["GET", "POST", "PUT", "DELETE"]
    return Starlette(routes=[Route("/{path:path}", answer, methods=methods)])


class _BrokenResponse:
    """Half an answer, and then the end of the connection, or nothing for ever. Without a socket there is no refused connection."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        answer = self._answer
        if answer.failure == "timeout":
            await _wait_for_end(receive)
            return
        headers = {**answer.headers, "content-length": str(len(answer.body))}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        if answer.failure == "endless":
            await _wait_for_end(receive)


async def _wait_for_end(receive: Receive) -> None:
    """Until the client leaves; in-process nobody does, and the client's own limit ends it."""
    while (await receive())["type"] != "http.disconnect":
        pass
