"""The client of the Web API against the fake Spotify."""

from tests.spotify_home import run


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
