"""Failures as a client of httpx meets them, through the transport and through the ASGI application."""

import httpx
import pytest
from tests.unit.spotify.fake.listening import T0, Listening

from soundlake.spotify.fake import FakeTransport, Fault, make_app, run_in_virtual_time


def ask(kind, **details):
    """What a client with a limit of ten seconds meets, and how many seconds pass."""
    listening = Listening({"A": 200_000}, [{"run": [0, 200, "A", 0]}])
    listening.fake.faults.add(Fault(kind, details=details))

    async def call(clock):
        listening.fake.clock = clock
        async with httpx.AsyncClient(transport=FakeTransport(listening.fake), timeout=10) as client:
            try:
                answer = await client.get("http://fake/v1/me/player", headers={"Authorization": f"Bearer {listening.bearer}"})
            except httpx.TransportError as error:
                return type(error), (clock() - T0).total_seconds()
        return answer.status_code, (clock() - T0).total_seconds()

    return run_in_virtual_time(call, T0)


@pytest.mark.parametrize(
    ("kind", "met"),
    [
        ("refused", (httpx.ConnectError, 0)),
        ("unresolved", (httpx.ConnectError, 0)),
        ("timeout", (httpx.ReadTimeout, 10)),
        ("endless", (httpx.ReadTimeout, 10)),
        ("closed", (httpx.RemoteProtocolError, 0)),
        ("bad_gateway", (502, 0)),
    ],
)
def test_a_failure_is_the_exception_of_a_real_connection(kind, met):
    assert ask(kind) == met


@pytest.mark.parametrize(("delay_s", "met"), [(4, (200, 4)), (40, (httpx.ReadTimeout, 10))])
def test_a_slow_answer_comes_late_or_too_late(delay_s, met):
    assert ask("respond", body={}, delay_s=delay_s) == met


def test_the_asgi_application_answers_the_same():
    listening = Listening({"A": 200_000}, [{"run": [0, 200, "A", 0]}])

    async def call(_):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(listening.fake)), base_url="http://fake") as client:
            client.headers["Authorization"] = f"Bearer {listening.bearer}"
            profile = await client.get("/v1/me")
            added = await client.put("/admin/accounts/ben", json={"tracks": {"B": 1000}, "states": [{"run": [0, 1, "B", 0]}]})
            return profile.json()["account_id"], profile.headers["date"], added.json()

    assert run_in_virtual_time(call, T0) == ("acc-anna", "Thu, 01 Jan 2026 20:00:00 GMT", {"user_id": "ben"})
