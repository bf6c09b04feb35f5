"""A fake with one scripted account, and calls to it without a client."""

import json
from datetime import UTC, datetime

from soundlake.spotify.fake import AdjustableClock, FakeApp, FakeSpotify, Request, write_timeline

T0 = datetime(2026, 1, 1, 20, tzinfo=UTC)
T0_MS = 1_767_297_600_000


class HandClock:
    """Seconds that a test moves by hand."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


class Listening:
    """One account, `anna`, of a script; `at(seconds)` moves its time."""

    def __init__(self, tracks, states, recent=None, **app):
        self.hand = HandClock()
        self.fake = FakeSpotify(AdjustableClock(T0, monotonic=self.hand))
        self.app = self.fake.add_app(FakeApp(**app))
        self.fake.add_account(write_timeline("anna", T0_MS, tracks, states, recent=recent))
        self.bearer = self.fake.sign_in("anna")["access_token"]

    def at(self, seconds):
        self.hand.seconds = seconds
        return self

    def call(self, path, bearer=None, **query):
        headers = {"authorization": f"Bearer {bearer or self.bearer}"}
        return self.fake.answer(Request("GET", path, {name: str(value) for name, value in query.items()}, headers))

    def player(self, seconds):
        answer = self.at(seconds).call("/v1/me/player", additional_types="episode")
        return None if answer.status == 204 else json.loads(answer.body)

    def history(self, seconds=None, **query):
        if seconds is not None:
            self.at(seconds)
        return json.loads(self.call("/v1/me/player/recently-played", **query).body)
