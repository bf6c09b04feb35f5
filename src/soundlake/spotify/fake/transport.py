"""The fake as a transport of httpx: no socket, and failures are the exceptions that a real connection would raise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from soundlake.spotify.fake.messages import Answer, Request
from soundlake.spotify.fake.service import FakeSpotify


class FakeTransport(httpx.AsyncBaseTransport):
    """Give it to `httpx.AsyncClient(transport=…)`. Both hosts are answered by path, whatever the address."""

    def __init__(self, fake: FakeSpotify) -> None:
        self._fake = fake

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request. Raises httpx.TransportError where the answer is a failure."""
        answer = self._fake.answer(
            Request(
                request.method,
                request.url.path,
                dict(request.url.params),
                {name.lower(): value for name, value in request.headers.items()},
                await request.aread(),
            )
        )
        read_s = request.extensions.get("timeout", {}).get("read")
        await self._wait(answer, read_s)
        match answer.failure:
            case "refused":
                raise httpx.ConnectError("[Errno 111] Connection refused")
            case "unresolved":
                raise httpx.ConnectError("[Errno -2] Name or service not known")
            case "timeout":
                await _hang(read_s)
            case "closed":
                return httpx.Response(answer.status, headers=answer.headers, stream=_CutStream(answer.body))
            case "endless":
                return httpx.Response(answer.status, headers=answer.headers, stream=_EndlessStream(answer.body, read_s))
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

    async def _wait(self, answer: Answer, read_s: float | None) -> None:
        if not answer.delay_s:
            return
        if read_s is not None and answer.delay_s > read_s:
            await _hang(read_s)
        await self._fake.clock.sleep(answer.delay_s)


class _CutStream(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


class _EndlessStream(httpx.AsyncByteStream):
    def __init__(self, body: bytes, read_s: float | None) -> None:
        self._body, self._read_s = body, read_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body[: len(self._body) // 2]
        await _hang(self._read_s)


async def _hang(read_s: float | None) -> None:
    """Wait for what never comes. Raises httpx.ReadTimeout after the client's limit, without one never."""
    if read_s is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(read_s)
    raise httpx.ReadTimeout("timed out")
