"""An account of the fake is connected without a browser, to the home that asks for it, and to nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.spotify_home import T0_MS, TRACK

from soundlake.errors import UsageError
from soundlake.settings import Settings
from soundlake.spotify.budget import App
from soundlake.spotify.fake import AdjustableClock, FakeApp, FakeSpotify, write_timeline
from soundlake.wiring import open_token_store
from soundlake.wiring.fake_spotify import connect_fake_account
from soundlake.wiring.spotify import app_of, open_request_budget

URL = "http://127.0.0.1:18889"


@pytest.fixture
def settings(tmp_path):
    return Settings(_env_file=None, home=tmp_path, spotify={"client_id": "0" * 32, "client_secret": "canary"})


@pytest.fixture
def fake():
    fake = FakeSpotify(AdjustableClock(datetime.now(UTC)))
    fake.add_app(FakeApp())
    fake.add_account(write_timeline("anna", T0_MS, {"A": TRACK}, [{"run": [0, 86_400, "A", 0]}]))
    return fake


def test_an_account_is_connected_once_as_a_listener_of_its_name_at_the_fakes_own_hosts(settings, fake):
    assert connect_fake_account(settings, fake, URL, "anna")
    found = open_token_store(settings).read("acc-anna")
    assert (found.listener, found.accounts_url, found.api_url, found.client_id) == ("anna", URL, URL, FakeApp().client_id)
    assert not connect_fake_account(settings, fake, URL, "anna")
    assert connect_fake_account(settings, fake, "http://127.0.0.1:18890", "anna")  # the fake has moved
    assert open_token_store(settings).read("acc-anna").api_url == "http://127.0.0.1:18890"


def test_the_calls_of_the_fake_do_not_use_up_those_of_a_real_app(settings, fake):
    connect_fake_account(settings, fake, URL, "anna")
    budget = open_request_budget(settings)
    assert budget.measure_use(app_of(open_token_store(settings).read("acc-anna"))).calls_in_day == 1
    assert budget.measure_use(App("0" * 32, "")).calls_in_day == 0


def test_an_account_that_the_fake_does_not_have_is_named_with_those_that_it_has(settings, fake):
    with pytest.raises(UsageError, match=r"no account ben\n→ its accounts are anna"):
        connect_fake_account(settings, fake, URL, "ben")
