"""Admin calls below /admin: the clock, apps, accounts, faults, and the truth. They are the fake's own; Spotify has none of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from soundlake.errors import UsageError
from soundlake.spotify.fake.accounts import FakeApp
from soundlake.spotify.fake.admin_requests import AppChange, ClockChange, FaultOrder, ScriptedAccount
from soundlake.spotify.fake.faults import KINDS
from soundlake.spotify.fake.messages import Answer, Request, answer_json
from soundlake.spotify.fake.timeline import TruePlay

if TYPE_CHECKING:
    from soundlake.spotify.fake.service import FakeSpotify

Handler = Callable[["FakeSpotify", Request, str], Any]


def administrate(fake: FakeSpotify, request: Request) -> Answer:
    """Answer an admin call: JSON, 400 for what is not understood, 404 for what does not exist."""
    for method, pattern, handler in _ROUTES:
        found = re.fullmatch(pattern, request.path)
        if found is None or method != request.method:
            continue
        try:
            return answer_json(handler(fake, request, found.groupdict().get("name", "")))
        except ValidationError as error:
            return answer_json({"error": error.errors(include_url=False, include_context=False)}, 400)
        except (UsageError, ValueError) as error:
            return answer_json({"error": str(error)}, 400)
        except KeyError as error:
            return answer_json({"error": f"there is no {error.args[0]}"}, 404)
    return answer_json({"error": f"no admin call {request.method} {request.path}"}, 404)


def describe_play(play: TruePlay) -> dict[str, Any]:
    """A play that happened, as JSON; times in UTC, epoch ms."""
    return {
        **asdict(play),
        "track": play.track.id,
        "track_name": play.track.name,
        "artist_name": play.track.artist_name,
        "duration_ms": play.track.duration_ms,
        "content_type": play.track.type,
        "device": play.device.id,
        "device_type": play.device.type,
        "is_private": play.is_private,
    }


def _show_state(fake: FakeSpotify, _: Request, __: str) -> Any:  # noqa: ANN401  # JSON, here and below
    return {
        "now": fake.clock().isoformat(),
        "speed": fake.clock.speed,
        "apps": list(fake.apps),
        "accounts": list(fake.accounts),
        "faults": {str(number): {"kind": fault.kind, "hits": fault.hits} for number, fault in fake.faults.faults.items()},
        "calls": len(fake.calls),
        "fault_kinds": KINDS,
    }


def _set_clock(fake: FakeSpotify, request: Request, _: str) -> Any:  # noqa: ANN401
    change = ClockChange.model_validate_json(request.body)
    now = fake.clock() if change.now is None else change.now
    fake.clock.set(now=now + timedelta(seconds=change.advance_s), speed=change.speed)
    return {"now": fake.clock().isoformat(), "speed": fake.clock.speed}


def _add_fault(fake: FakeSpotify, request: Request, _: str) -> Any:  # noqa: ANN401
    return {"id": fake.faults.add(FaultOrder.model_validate_json(request.body).make_fault(fake.clock.now_ms))}


def _remove_fault(fake: FakeSpotify, _: Request, name: str) -> Any:  # noqa: ANN401
    fake.faults.remove(int(name) if name else None)
    return {}


def _change_app(fake: FakeSpotify, request: Request, name: str) -> Any:  # noqa: ANN401
    """Register an app, or change one: only the members that are given."""
    change = AppChange.model_validate_json(request.body)
    app = fake.apps.get(name) or fake.add_app(FakeApp(client_id=name))
    for member in change.model_fields_set - {"calls_per_day"}:
        setattr(app, member, getattr(change, member))
    if change.calls_per_day is not None:
        fake.limits.calls_per_day[app.developer] = change.calls_per_day
    return {"client_id": app.client_id, "developer": app.developer}


def _add_account(fake: FakeSpotify, request: Request, name: str) -> Any:  # noqa: ANN401
    account = ScriptedAccount.model_validate_json(request.body)
    fake.add_account(account.write_timeline(name, fake.clock()))
    for fault in account.list_raw_answers(name, fake.clock()):
        fake.faults.add(fault)
    return {"user_id": name}


def _revoke(fake: FakeSpotify, request: Request, name: str) -> Any:  # noqa: ANN401
    """End the account's tokens: of one app (`client_id`) or of all."""
    body = orjson.loads(request.body or b"{}")
    for client_id in [body["client_id"]] if "client_id" in body else list(fake.apps):
        fake.grants.revoke(fake.accounts[name].user_id, client_id, fake.clock.now_ms)
    return {}


def _list_truth(fake: FakeSpotify, request: Request, _: str) -> Any:  # noqa: ANN401
    return {"plays": [describe_play(play) for play in fake.list_plays(request.query.get("account"))]}


def _list_history(fake: FakeSpotify, request: Request, _: str) -> Any:  # noqa: ANN401
    """Every entry that recently-played ever had by now, also those beyond the newest 50."""
    chosen = [fake.accounts[request.query["account"]]] if "account" in request.query else fake.accounts.values()
    now_ms = fake.clock.now_ms
    return {
        "entries": [
            {"account": one.user_id, **asdict(entry), "track": entry.track.id}
            for one in chosen
            for entry in one.timeline.listings
            if entry.listed_ms <= now_ms
        ]
    }


def _list_calls(fake: FakeSpotify, request: Request, _: str) -> Any:  # noqa: ANN401
    since_ms = int(request.query.get("since_ms", "0"))
    return {"calls": [asdict(call) for call in fake.calls if call.at_ms >= since_ms]}


_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/admin/state", _show_state),
    ("POST", "/admin/clock", _set_clock),
    ("POST", "/admin/faults", _add_fault),
    ("DELETE", r"/admin/faults(/(?P<name>\d+))?", _remove_fault),
    ("PUT", r"/admin/apps/(?P<name>\w+)", _change_app),
    ("PUT", r"/admin/accounts/(?P<name>[\w.-]+)", _add_account),
    ("POST", r"/admin/accounts/(?P<name>[\w.-]+)/revoke", _revoke),
    ("GET", "/admin/truth", _list_truth),
    ("GET", "/admin/history", _list_history),
    ("GET", "/admin/calls", _list_calls),
)
