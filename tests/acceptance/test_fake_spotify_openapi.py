"""The fake's answers have the form of Spotify's own OpenAPI description, whose mistakes are listed beside this file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse
from openapi_core.validation.response.exceptions import InvalidData

from soundlake.spotify.fake import AdjustableClock, FakeApp, FakeSpotify, PlayerMode, Request, write_timeline

T0 = datetime(2026, 1, 1, 20, tzinfo=UTC)
T0_MS = 1_767_297_600_000
PATHS = [
    "/me", "/me/player", "/me/player/currently-playing", "/me/player/recently-played",
    "/tracks/{id}", "/albums/{id}", "/artists/{id}", "/search",
]  # fmt: skip
STATES = [
    {"run": [0, 200, "A", 0]},
    {"null_item": [200, 230, "ad"]},
    {"hold": [230, 300, "B", 5_000]},
    {"none": [300, 400]},
    {"run": [400, 500, "E", 0], "with": {"type": "episode"}},
    {"run": [500, 600, "B", 0], "with": {"device_id": None, "progress_ms": None, "volume_percent": None, "omit": ["context"]}},
]


@pytest.fixture(scope="session")
def description(shared):
    """Spotify's description, corrected."""
    path = shared / "data" / "spotify-openapi" / "official-spotify-open-api.yml"
    if not path.is_file():
        pytest.skip(f"{path} does not exist")
    tree = yaml.load(path.read_text(), yaml.CSafeLoader)
    for change in yaml.safe_load(Path(__file__).with_name("spotify_openapi_patch.yml").read_text()):
        *steps, last = change["at"]
        place = tree
        for step in steps:
            place = place[step]
        place[last] = change["write"]
    tree["paths"] = {path: tree["paths"][path] for path in PATHS}  # others are not valid OpenAPI: a playlist's images
    return OpenAPI.from_dict(tree)


@pytest.fixture
def ask():
    """The fake's answer at a second of the script."""
    seconds = [0.0]
    fake = FakeSpotify(AdjustableClock(T0, monotonic=lambda: seconds[0]))
    fake.add_app(FakeApp(calls_per_window=20))
    mode = PlayerMode(context_uri="spotify:playlist:sl_editorial_1")
    fake.add_account(write_timeline("anna", T0_MS, {"A": 200_000, "B": 200_000, "E": 3_600_000}, STATES, mode=mode))
    bearer = fake.sign_in("anna")["access_token"]

    def call(path, second=0.0, token=bearer, **query):
        seconds[0] = second
        return fake.answer(Request("GET", f"/v1{path}", query, {"authorization": f"Bearer {token}"}))

    return call


def validate(description, path, answer, **query):
    """Raises if the answer has not the form that the description gives this path and status."""
    request = MockRequest("https://api.spotify.com", "get", f"/v1{path}", args=query, headers={"Authorization": "Bearer x"})
    kind = answer.headers.get("content-type", "").partition(";")[0]
    description.validate_response(request, MockResponse(answer.body, status_code=answer.status, content_type=kind))


@pytest.mark.parametrize("path", ["/me/player", "/me/player/currently-playing"])
@pytest.mark.parametrize(("second", "status"), [(10, 200), (210, 200), (250, 200), (350, 204), (450, 200), (550, 200)])
def test_the_player_answers_in_the_described_form(description, ask, path, second, status):
    answer = ask(path, second, additional_types="episode")
    assert answer.status == status
    if status == 200:
        validate(description, path, answer)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/me", {}),
        ("/me/player/recently-played", {"limit": "50"}),
        ("/me/player/recently-played", {"before": "1"}),
        ("/tracks/sl_track_A", {}),
        ("/albums/sl_album_A", {}),
        ("/artists/sl_artist_A", {}),
        ("/search", {"q": "song", "type": "track,artist", "limit": "2"}),
    ],
)
def test_other_calls_answer_in_the_described_form(description, ask, path, query):
    answer = ask(path, 250, **query)
    assert answer.status == 200
    validate(description, path, answer, **query)


@pytest.mark.parametrize(("path", "status"), [("/me", 401), ("/audio-features/sl_track_A", 404)])
def test_errors_have_the_described_form(description, ask, path, status):
    answer = ask(path, token="none") if status == 401 else ask(path)
    assert answer.status == status
    if status == 401:
        validate(description, path, answer)


def test_an_answer_of_another_form_is_found(description, ask):
    answer = ask("/me")
    with pytest.raises(InvalidData):
        validate(description, "/me", type(answer)(200, answer.body.replace(b'"images":[]', b'"images":7'), answer.headers))
