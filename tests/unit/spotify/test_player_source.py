"""Where the player fails or is not allowed, currently-playing is asked in its place; never in a private session."""

from __future__ import annotations

import asyncio

import pytest
from tests.spotify_home import run
from tests.unit.spotify.test_poller import BOTH, Followed

from soundlake.cache import FileNowPlayingStore
from soundlake.errors import Unavailable
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.poller.page import make_now_playing
from soundlake.spotify.poller.song_times import LEGS

PLAYER = ("/v1/me/player",)
SCOPE = '{"error": {"status": 403, "message": "Insufficient client scope"}}'


@pytest.mark.parametrize(
    "details", [{"status": 403, "body": SCOPE}, {"status": 403, "body": ""}, {"status": 500, "body": ""}, {"status": 404, "body": "x"}],
    ids=["scope", "forbidden without a reason", "server error", "not found"],
)  # fmt: skip
def test_plays_are_followed_although_the_player_gives_nothing(tmp_path, details):
    async def main(home):
        followed = Followed(home, tmp_path)
        home.fake.faults.add(Fault("respond", paths=PLAYER, details=details))
        await followed.run_for(600)
        return followed, home.find_park(home.make_client("acc-anna", home.find_app()))

    followed, park = run(tmp_path, main)
    assert park is None
    assert [title for title, *_ in followed.list_plays()] == [title for title, *_ in BOTH]


def test_a_player_that_is_not_allowed_is_left_alone_for_an_hour(tmp_path):
    async def main(home):
        followed = Followed(home, tmp_path)
        home.fake.faults.add(Fault("respond", paths=PLAYER, details={"status": 403, "body": SCOPE}))
        await followed.run_for(3_500)
        return sum(call.path == PLAYER[0] for call in home.fake.calls)

    assert run(tmp_path, main) == 1


def test_a_listener_who_is_not_allowed_at_all_is_parked(tmp_path):
    async def main(home):
        followed = Followed(home, tmp_path)
        home.fake.faults.add(Fault("not_registered"))
        await followed.run_for(60)
        return home.find_park(home.make_client("acc-anna", home.find_app())).reason

    assert run(tmp_path, main) == "not_allowlisted"


def test_after_a_private_session_only_the_player_is_asked(tmp_path):
    async def main(home):
        private = {"with": {"is_private_session": True}}
        followed = Followed(home, tmp_path, [{"run": [0, 30, "A", 0]}, {"run": [30, 200, "C", 0], **private}, {"none": [200, 9_000]}])
        t0 = home.clock().timestamp()
        home.fake.faults.add(Fault("respond", paths=PLAYER, details={"status": 500, "body": ""}, from_ms=int(t0 + 60) * 1_000))
        await followed.run_for(190)
        return followed, {call.path for call in home.fake.calls}

    followed, paths = run(tmp_path, main)
    assert [song for _, song, _ in followed.songs] == ["Song A"]
    assert "/v1/me/player/currently-playing" not in paths


def test_a_call_that_never_ends_is_a_failure_and_the_loop_goes_on(tmp_path):
    async def main(home):
        followed = Followed(home, tmp_path)
        make_client, stuck = followed.poller.make_client, [1]

        class Hanging:
            account = "acc-anna"

            async def verify_account(self):
                stuck.clear()
                await asyncio.Event().wait()

        followed.poller.make_client = lambda one: Hanging() if stuck else make_client(one)
        await followed.run_for(600)
        return followed

    followed = run(tmp_path, main)
    assert "did not end within 120 s" in followed.reports[0].failure.message
    assert followed.list_plays()


def test_a_cache_that_does_not_answer_costs_the_page_only(tmp_path):
    async def main(home):
        followed, legs = Followed(home, tmp_path), []

        def show(_listener, _current):
            raise Unavailable("no Redis")

        followed.poller.show, followed.poller.measure = show, legs.append
        await followed.run_for(600)
        return followed, legs

    followed, legs = run(tmp_path, main)
    assert followed.list_plays() == BOTH
    assert [tuple(of_song) for of_song in legs] == [LEGS, LEGS]
    assert 0 <= legs[1]["seen"] <= 10


def test_the_page_has_progress_and_art_and_nothing_of_a_private_session(tmp_path):
    async def main(home):
        private = {"with": {"is_private_session": True}}
        followed = Followed(home, tmp_path, [{"run": [0, 60, "A", 0]}, {"run": [60, 200, "C", 0], **private}])
        store, seen = FileNowPlayingStore(tmp_path / "now"), []

        def show(listener, current):
            if current is None:
                store.delete(listener)
            else:
                store.write(make_now_playing(listener, current, home.clock()))
            seen.append(store.read(listener, home.clock()))

        followed.poller.show = show
        await followed.run_for(150)
        return seen

    seen = run(tmp_path, main)
    first, last = seen[0], seen[-1]
    assert (first.track_name, first.artist_name, first.is_playing, first.image_url.startswith("http")) == ("Song A", "Artist A", True, True)
    assert {one.track_name for one in seen if one} == {"Song A"}
    assert last is None
