"""The fake Spotify: accounts, apps, music and a clock, and an answer for each request. No socket and no framework is needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from email.utils import format_datetime
from typing import Any

import orjson

from soundlake.spotify.fake import accounts_host, web_api
from soundlake.spotify.fake.accounts import FakeAccount, FakeApp
from soundlake.spotify.fake.admin import administrate
from soundlake.spotify.fake.canned_answers import CANNED
from soundlake.spotify.fake.catalogue import FakeCatalogue
from soundlake.spotify.fake.clock import AdjustableClock
from soundlake.spotify.fake.faults import Caller, Fault, FaultBoard
from soundlake.spotify.fake.grants import Grants, read_statement
from soundlake.spotify.fake.limits import Limits
from soundlake.spotify.fake.messages import Answer, Refusal, Request, answer_json, answer_text
from soundlake.spotify.fake.pictures import draw_picture
from soundlake.spotify.fake.simulated import SimulatedListeners
from soundlake.spotify.fake.timeline import Timeline, TruePlay

_ACCOUNTS_HOST: dict[tuple[str, str], Callable[[FakeSpotify, Request], Answer]] = {
    ("GET", "/authorize"): accounts_host.show_consent,
    ("POST", "/authorize"): accounts_host.take_decision,
    ("POST", "/api/token"): accounts_host.give_token,
}
ALL_SCOPES = "user-read-recently-played user-read-currently-playing user-read-playback-state"
_OK = 200
_CALLS_KEPT = 1_000_000
_GAP_FAILURES = ("unresolved", "refused", "timeout", "bad_gateway")


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A request that was made (UTC, epoch ms), and the status it was answered with; the failure where there was no whole answer."""

    at_ms: int
    client_id: str | None
    account: str | None
    path: str
    status: int
    failure: str | None


class FakeSpotify:
    """The state of the fake; `answer` handles one request of either host. Times come from `clock`.

    `simulated` are the listeners whose time lines grow as time passes; scripted ones are added with `add_account`.
    """

    def __init__(
        self, clock: AdjustableClock, *, base_url: str = "http://fake-spotify.invalid", simulated: SimulatedListeners | None = None
    ) -> None:
        self.clock = clock
        self.catalogue = FakeCatalogue(base_url)
        self.accounts: dict[str, FakeAccount] = {}
        self.apps: dict[str, FakeApp] = {}
        self.grants, self.limits, self.faults = Grants(), Limits(), FaultBoard()
        self.calls: deque[CallRecord] = deque(maxlen=_CALLS_KEPT)
        self._simulated = simulated
        for timeline in () if simulated is None else simulated.timelines:
            self.add_account(timeline)

    def add_app(self, app: FakeApp) -> FakeApp:
        """Register an app, or replace it."""
        self.apps[app.client_id] = app
        return app

    def add_account(self, timeline: Timeline, **details: str) -> FakeAccount:
        """Add an account with its time line, or replace it; `details` are fields of FakeAccount."""
        account = FakeAccount(timeline, **details)
        self.accounts[account.user_id] = account
        self.catalogue.add(segment.track for segment in timeline.segments if segment.track is not None)
        self.catalogue.add(listing.track for listing in timeline.listings)
        return account

    def sign_in(self, account: str, scope: str = ALL_SCOPES) -> dict[str, Any]:
        """The tokens that the first app gets when this account has pressed Allow, as the token endpoint answers them."""
        return accounts_host.sign_in(self, account, next(iter(self.apps.values())), scope)

    def list_plays(self, account: str | None = None) -> list[TruePlay]:
        """The plays that really happened and have ended by now, of one account or all."""
        self._grow()
        chosen: Iterable[FakeAccount] = self.accounts.values() if account is None else (self.accounts[account],)
        return [play for one in chosen for play in one.timeline.list_plays(self.clock.now_ms)]

    def answer(self, request: Request) -> Answer:
        """The answer of one request."""
        self._grow()
        if request.path.startswith("/admin/"):
            return administrate(self, request)
        caller = self._identify(request)
        try:
            answer = self._handle(request, caller)
        except Refusal as refusal:
            answer = refusal.answer
        self.calls.append(CallRecord(self.clock.now_ms, caller.client_id, caller.account, caller.path, answer.status, answer.failure))
        return replace(answer, headers={"date": format_datetime(self.clock(), usegmt=True), **answer.headers})

    def _handle(self, request: Request, caller: Caller) -> Answer:
        faults = self.faults.find_due(caller, self.clock.now_ms)
        if self._is_in_gap(caller):
            kind = _GAP_FAILURES[len(self.calls) % len(_GAP_FAILURES)]
            return CANNED[kind]({})
        canned = next((CANNED[fault.kind](fault.details) for fault in faults if fault.kind in CANNED), None)
        if (handler := _ACCOUNTS_HOST.get((request.method, request.path))) is not None:
            answer = canned or handler(self, request)
            return _change_token_answer(answer, faults) if request.form.get("grant_type") == "refresh_token" else answer
        if request.path.startswith("/image/"):
            return draw_picture(request.path)
        if not request.path.startswith("/v1/"):
            return answer_text("not found", 404)
        limited = self._count(caller)
        if canned is not None or limited is not None:
            return canned or limited or answer_text("")
        _, account, token = web_api.authorize(self, request)
        changing = [fault for fault in faults if fault.kind not in CANNED]
        return web_api.answer_object(web_api.call(self, request, account, token, changing))

    def _count(self, caller: Caller) -> Answer | None:
        app = self.apps.get(caller.client_id or "")
        return None if app is None else self.limits.count(app, self.clock.now_ms)

    def _is_in_gap(self, caller: Caller) -> bool:
        """Whether a script says that there is no answer at all now."""
        account = self.accounts.get(caller.account or "")
        segment = None if account is None else account.timeline.find(self.clock.now_ms)[0]
        return segment is not None and segment.motion == "gap"

    def _identify(self, request: Request) -> Caller:
        """Whose request it is, as far as a token says, valid or not."""
        bearer = request.headers.get("authorization", "").partition(" ")[2]
        text = request.form.get("refresh_token", "") if request.path == "/api/token" else bearer
        token = read_statement(text) if text else None
        return Caller(request.path) if token is None else Caller(request.path, token.account, token.client_id)

    def _grow(self) -> None:
        """Let the simulated listeners live up to now."""
        if self._simulated is not None:
            self.catalogue.add(self._simulated.extend_to(self.clock.now_ms))


def _change_token_answer(answer: Answer, faults: Iterable[Fault]) -> Answer:
    """The answer of a refresh with the members of a `token_fields` fault: an empty refresh token, none, a null one."""
    changes = [fault.details for fault in faults if fault.kind == "token_fields"]
    if not changes or answer.status != _OK:
        return answer
    body = orjson.loads(answer.body)
    for details in changes:
        body |= details
    return answer_json({name: value for name, value in body.items() if value != "absent"})
