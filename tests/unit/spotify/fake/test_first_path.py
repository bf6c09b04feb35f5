"""From the consent page to the player's answer, in virtual time."""

import base64
import hashlib
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import httpx

from soundlake.spotify.fake import DEFAULT_REDIRECT_URI, FakeApp, FakeSpotify, FakeTransport, run_in_virtual_time, write_timeline

START = datetime(2026, 1, 1, 20, tzinfo=UTC)
T0_MS = 1_767_297_600_000
SCOPE = "user-read-playback-state user-read-recently-played"


def test_a_listener_signs_in_and_the_player_follows_the_script():
    async def follow(clock):
        fake = FakeSpotify(clock)
        app = fake.add_app(FakeApp())
        states = [{"run": [0, 120, "A", 0]}, {"hold": [120, 179, "A", 120000]}, {"run": [179, 241, "A", 120000]}, {"none": [241, 300]}]
        fake.add_account(write_timeline("anna", T0_MS, {"A": 182000}, states))
        verifier = "v" * 43
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        async with httpx.AsyncClient(transport=FakeTransport(fake), base_url="http://fake") as client:
            query = {
                "client_id": app.client_id, "response_type": "code", "redirect_uri": DEFAULT_REDIRECT_URI, "scope": SCOPE, "state": "s1",
                "code_challenge": challenge, "code_challenge_method": "S256",
            }  # fmt: skip
            page = await client.get("/authorize", params=query)
            assert "Allow" in page.text
            sent_back = await client.post("/authorize", params=query, data={"account": "anna", "decision": "allow"})
            answer = parse_qs(urlsplit(sent_back.headers["location"]).query)
            assert answer["state"] == ["s1"]
            exchange = {
                "grant_type": "authorization_code", "code": answer["code"][0], "redirect_uri": DEFAULT_REDIRECT_URI,
                "client_id": app.client_id, "code_verifier": verifier,
            }  # fmt: skip
            tokens = (await client.post("/api/token", data=exchange)).json()
            assert (await client.post("/api/token", data=exchange)).json()["error"] == "invalid_grant"
            renewal = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": app.client_id}
            renewed = (await client.post("/api/token", data=renewal)).json()
            assert "refresh_token" not in renewed
            bearer = {"Authorization": f"Bearer {renewed['access_token']}"}
            profile = (await client.get("/v1/me", headers=bearer)).json()
            assert profile["id"] == "anna"
            seen = []
            for _ in range(4):
                await clock.sleep(70)
                state = await client.get("/v1/me/player", headers=bearer)
                seen.append((state.status_code, state.content and (state.json()["is_playing"], state.json()["progress_ms"])))
            assert seen == [(200, (True, 70000)), (200, (False, 120000)), (200, (True, 151000)), (204, b"")]
            history = (await client.get("/v1/me/player/recently-played", headers=bearer)).json()
            assert [item["played_at"] for item in history["items"]] == ["2026-01-01T20:04:01.000Z"]
        return fake.accounts["anna"].timeline.list_plays()

    (play,) = run_in_virtual_time(follow, START)
    assert (play.start_ms - T0_MS, play.heard_ms, play.reason_end) == (0, 182000, "trackdone")
