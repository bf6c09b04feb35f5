"""The client of the Web API against the fake Spotify."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from tests.spotify_home import START, TRACK, run

from soundlake.errors import Unavailable
from soundlake.spotify.errors import AccountMismatch, Forbidden, QuotaExceeded, RateLimited, RequestRefused, Unauthorized
from soundlake.spotify.fake.faults import Fault


def test_a_listener_signs_in_and_every_call_gives_types(tmp_path):
    async def main(home):
        client = home.connect("anna")
        profile = await client.verify_account()
        await home.clock.sleep(70)
        answer = await client.get_player()
        details = await client.get_track_details(answer.state.item.id)
        return profile, answer, details, await client.get_recently_played(), (await client.get_currently_playing()).state

    profile, answer, details, page, currently = run(tmp_path, main)
    assert (profile.account, profile.id) == ("acc-anna", "anna")
    assert (answer.state.is_playing, answer.state.progress_ms, answer.state.item.name) == (True, 70_000, "Song A")
    assert (details.track.name, details.artist.name, details.album.name) == ("Song A", "Artist A", "Album A")
    assert currently.item == answer.state.item
    assert page.unreadable == 0


def test_an_empty_answer_is_no_state_and_its_time_is_the_middle_of_the_request(tmp_path):
    async def main(home):
        client = home.connect("anna")
        home.fake.faults.add(Fault("respond", count=1, details={"status": 204, "delay_s": 4}))
        return await client.get_player()

    answer = run(tmp_path, main)
    assert (answer.state, answer.at) == (None, START + timedelta(seconds=2))


REFUSALS = {
    "rate_limited": (RateLimited, 7),
    "rate_limited_json": (RateLimited, 7),
    "rate_limited_hours": (RateLimited, 19_056),
    "rate_limited_empty": (RateLimited, 13_749),
    "rate_limited_zero": (RateLimited, 5),
    "rate_limited_no_header": (RateLimited, 5),
    "quota_exceeded": (QuotaExceeded, 52_531),
    "forbidden": (Forbidden, 3_600),
    "forbidden_text": (Forbidden, 3_600),
    "forbidden_empty": (Forbidden, 3_600),
    "not_registered": (Forbidden, None),
    "owner_premium": (Forbidden, 7_200),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_a_type_with_its_end_and_nothing_is_sent_before_it(tmp_path, kind):
    error_type, seconds = REFUSALS[kind]

    async def main(home):
        client, begun = home.connect("anna"), home.clock()
        home.fake.faults.add(Fault(kind))
        errors = []
        for _ in range(5):
            with pytest.raises(error_type) as refused:
                await client.get_recently_played()
            errors.append(refused.value)
        assert home.clock() == begun
        ends = {None if one.until is None else (one.until - begun).total_seconds() for one in errors}
        assert (home.count_calls("/v1/me/player"), ends) == (1, {seconds})
        home.fake.faults.remove()
        await home.clock.sleep((seconds or 100_000) - 0.5)
        with pytest.raises(error_type):
            await client.get_player()
        await home.clock.sleep(1)
        if seconds is not None:
            assert (await client.get_player()).state.is_playing

    run(tmp_path, main)


OUTAGES = ["server_error", "bad_gateway", "unavailable", "gateway_timeout", "closed", "endless", "refused", "unresolved", "timeout"]


@pytest.mark.parametrize("kind", ["empty", "html", "cut", *OUTAGES])
def test_a_fault_of_the_service_is_an_error_that_names_no_token_and_parks_nobody(tmp_path, kind):
    async def main(home):
        client, begun = home.connect("anna"), home.clock()
        home.fake.faults.add(Fault(kind, count=1))
        with pytest.raises(Unavailable) as failed:
            await client.get_recently_played()
        assert failed.value.__cause__ is None
        assert (home.clock() - begun).total_seconds() <= 20
        assert (await client.get_recently_played()).unreadable == 0

    run(tmp_path, main)


def test_an_answer_that_trickles_without_an_end_is_given_up(tmp_path):
    async def trickle():
        while True:
            await asyncio.sleep(1)
            yield b" "

    async def flood():
        while True:
            yield b" " * 1_000_000

    async def main(home):
        client = home.connect("anna")
        for stream, most in ((trickle, 20), (flood, 0)):
            transport = httpx.MockTransport(lambda _, stream=stream: httpx.Response(200, content=stream()))
            async with httpx.AsyncClient(transport=transport) as http:
                client._access = replace(client._access, http=http)
                begun = home.clock()
                with pytest.raises(Unavailable):
                    await client.get_player()
                assert (home.clock() - begun).total_seconds() == most

    run(tmp_path, main)


@pytest.mark.parametrize(("count", "outcome"), [(1, "works"), (2, "parked")])
def test_a_refused_token_is_refreshed_once_and_the_call_repeated_once(tmp_path, count, outcome):
    async def main(home):
        client, other = home.connect("anna"), home.connect("ben")
        posts = home.count_calls("/api/token")
        home.fake.faults.add(Fault("unauthorized", count=count))
        if outcome == "works":
            assert (await client.get_player()).state.is_playing
        else:
            for _ in range(3):
                with pytest.raises(Unauthorized):
                    await client.get_player()
            assert (await other.get_player()).state.is_playing
        assert (home.count_calls("/v1/me/player", account="anna"), home.count_calls("/api/token") - posts) == (2, 1)

    run(tmp_path, main)


def test_details_are_asked_for_once_one_id_a_call_by_all_accounts(tmp_path):
    async def main(home):
        clients = [home.connect(user) for user in ("anna", "ben")]
        for client in clients * 3:
            details = await client.get_track_details(TRACK.id)
            assert (details.artist.id, details.album.id) == (TRACK.artist_id, TRACK.album_id)
        with pytest.raises(RequestRefused) as refused:
            await clients[0].get_track_details("no/such id?")
        assert refused.value.status == 404
        return [call.path for call in home.fake.calls if call.path.startswith(("/v1/tracks", "/v1/artists", "/v1/albums"))]

    asked = run(tmp_path, main)
    assert asked[:3] == [f"/v1/tracks/{TRACK.id}", f"/v1/artists/{TRACK.artist_id}", f"/v1/albums/{TRACK.album_id}"]
    assert len(asked) == 4


def test_a_token_of_another_account_collects_nothing(tmp_path):
    async def main(home):
        first, second = home.connect("anna"), home.connect("ben")
        home.store.write(replace(home.store.read(second.account), account=first.account))
        with pytest.raises(AccountMismatch):
            await first.verify_account()
        with pytest.raises(AccountMismatch):
            await first.get_recently_played()
        assert home.count_calls("/v1/me/player") == 0
        await second.verify_account()

    run(tmp_path, main)


def test_an_app_that_waits_asks_for_no_token_either(tmp_path):
    async def main(home):
        client = home.connect("anna")
        home.fake.faults.add(Fault("rate_limited_hours", count=1))
        posts = home.count_calls("/api/token")
        for _ in range(3):
            with pytest.raises(RateLimited):
                await client.get_player()
            await home.clock.sleep(5_000)  # the access token ends meanwhile
        assert home.count_calls("/api/token") == posts

    run(tmp_path, main)
