"""Cases of the kinds `token` and `http`: the client, its tokens and its budget against the fake Spotify."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from tests.spotify_home import START, T0_MS, SpotifyHome, allow, run
from tests.spotify_processes import refresh_in_processes

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import TOPICS
from soundlake.errors import SoundlakeError
from soundlake.spotify.auth import SignIn
from soundlake.spotify.backfill import EVERY, Backfill
from soundlake.spotify.budget import App, Limits
from soundlake.spotify.callback import CallbackServer, NoAnswer
from soundlake.spotify.client import SpotifyAPIClient
from soundlake.spotify.collection import HistoryStore
from soundlake.spotify.errors import Forbidden
from soundlake.spotify.fake import FakeApp, write_timeline
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.poller import ListeningStore, Poller, find_pace
from soundlake.spotify.refusals import Reason
from soundlake.spotify.status import read_spotify_status
from soundlake.spotify.tokens import Connection

Case = Mapping[str, Any]
Differences = list[str]
_TOKEN = "/api/token"


def find_token_differences(case: Case, folder: Path) -> Differences:
    """What differs in a case of the kind `token`."""
    return _find_differences(case, folder, _TOKEN_CASES)


def find_http_differences(case: Case, folder: Path) -> Differences:
    """What differs in a case of the kind `http`."""
    return _find_differences(case, folder, _HTTP_CASES)


def _find_differences(case: Case, folder: Path, checks: Mapping[str, Callable[[Case, Case, Path], Differences]]) -> Differences:
    """What the check of the case finds, and each member that it does not know."""
    given, expect = case["given"], case["expect"]
    member = next((name for name in checks if name in given), None)
    if member is None:
        return [f"not understood: given {', '.join(given)}"]
    known_given, known_expect = _MEMBERS[member]
    unread = [f"not understood: given {name}" for name in given if name not in known_given.split()]
    unread += [f"not understood: expect {name}" for name in expect if name not in (*known_expect.split(), "note")]
    return unread or checks[member](given, expect, folder)


_MEMBERS = {
    "processes": ("processes server_modes", "token_posts all_processes_end_with file loser"),
    "answers": ("answers", "refresh_token_after scope_kept authorized_at errors"),
    "authorized_at": ("authorized_at now server other_accounts",
                      "token_posts error player_calls_afterwards other_accounts warnings_days_before after_new_login"),
    "server": ("accounts server", "plays_deleted alarm at"),
    "steps": ("accounts steps", "error plays_of_u2_under_u1"),
    "cases": ("cases", "outcomes"),
    "exchanges": ("exchanges", "errors until_s parked recheck never"),
    "events": ("accounts developer events restart_at", "calls_between survives_restart status"),
    "fake_limit": ("fake_limit fake_quota accounts hours listening", "429_rate_count quota_429 calls reserve degrade"),
    "answer": ("answer meanwhile", "stop_within_s api_p99_unchanged login"),
}  # fmt: skip
"""The members of `given` and `expect` that cases of each check have, by the member that chooses the check."""


# Tokens


def _check_processes(given: Case, expect: Case, folder: Path) -> Differences:
    """Many processes refresh at once, in each habit of the server."""
    found = []
    for number, mode in enumerate(given["server_modes"]):
        rotates = "replaces" in mode
        result = refresh_in_processes(folder / str(number), given["processes"], rotates=rotates)
        found += _compare(f"{mode}: calls", result.posts, expect["token_posts"])
        found += _compare(f"{mode}: different tokens", len(set(result.access_tokens)), 1)
        found += _compare(f"{mode}: file", (result.mode, result.is_refresh_token_right), (0o600, True))
    return found


def _check_answers(given: Case, expect: Case, folder: Path) -> Differences:
    """One refresh after the other, each with an answer of its own."""

    async def main(home: SpotifyHome) -> Differences:
        account = home.connect("u1").account
        before = home.store.read(account)
        after, errors = [], 0
        for answer in given["answers"]:
            home.fake.faults.add(Fault("respond", paths=(_TOKEN,), count=1, details={"body": answer, "content_type": "application/json"}))
            await home.clock.sleep(3_600)
            try:
                home.tokens.get(account)
            except SoundlakeError:
                errors += 1
            after.append(home.store.read(account))
        names = {before.refresh_token: "r1"}
        found = _compare(
            "refresh tokens", [names.get(one.refresh_token, one.refresh_token) for one in after], expect["refresh_token_after"]
        )
        found += _compare("errors", errors, expect["errors"])
        found += [] if {one.authorized_at for one in after} == {before.authorized_at} else ["the time of authorization moved"]
        return found + _compare("scopes kept", all(one.scopes for one in after), expect.get("scope_kept", True))

    return run(folder, main)


def _check_end_of_authorization(given: Case, expect: Case, folder: Path) -> Differences:
    """Six months after the authorization: one refused refresh, no call after it, and the other accounts go on."""

    async def main(home: SpotifyHome) -> Differences:
        client = home.connect("u1")
        home.clock.set(now=START + timedelta(seconds=given["now"] - given["authorized_at"] - 60))
        others = [home.connect(f"other{number}") for number in range(_read_count(given.get("other_accounts", 2)))]
        since_ms = home.clock.now_ms
        await home.clock.sleep(60)
        home.fake.faults.add(Fault("invalid_grant", accounts=frozenset({"u1"}), details={"description": "expired"}))
        errors, missed = [], 0
        for _ in range(5):
            errors.append(await _name_error(client.get_player))
            missed += len([one for one in [await _name_error(other.get_player) for other in others] if one])
            await home.clock.sleep(30)
        posts = sum(c.path == _TOKEN and c.account == "u1" and c.at_ms >= since_ms for c in home.fake.calls)
        found = _compare("error", set(errors), {expect["error"]}) + _compare("calls for a token", posts, expect["token_posts"])
        found += _compare("calls of the player", home.count_calls("/v1/me/player", account="u1"), expect["player_calls_afterwards"])
        return found + _compare("missed polls of others", missed, 0) + _check_warnings(home, client.account, expect)

    return run(folder, main)


def _check_warnings(home: SpotifyHome, account: str, expect: Case) -> Differences:
    connection = home.store.read(account)
    wanted = expect.get("warnings_days_before", [])
    days = [connection.find_warning_day(connection.sign_in_due_at - timedelta(days=day)) for day in wanted]
    early = connection.find_warning_day(connection.sign_in_due_at - timedelta(days=max(wanted, default=0) + 1))
    before = connection.authorized_at
    home.fake.faults.remove()
    known = home.connect("u1").account
    found = _compare("account after a new sign-in", known, account)
    found += [] if home.store.read(known).authorized_at > before else ["a new sign-in did not renew the authorization"]
    return found + _compare("warnings", (days, early), (wanted, None))


def _check_outage(given: Case, expect: Case, folder: Path) -> Differences:
    """invalid_grant for everybody during a span; the same tokens work again afterwards."""
    begin, end = (int(part) for part in re.findall(r"\d+", given["server"])[:2])

    async def main(home: SpotifyHome) -> Differences:
        clients = [home.connect(f"u{number}") for number in range(_read_count(given["accounts"]))]
        home.clock.set(now=START + timedelta(hours=2))
        t0_ms = home.clock.now_ms
        home.fake.faults.add(Fault("invalid_grant", from_ms=t0_ms + begin * 1_000, until_ms=t0_ms + end * 1_000))
        alarms: set[str] = set()
        while home.clock.now_ms < t0_ms + expect["at"]["t"] * 1_000:
            collecting = [await _name_error(client.get_player) for client in clients].count("")
            alarms |= set(read_spotify_status(home.make_records(), home.clock()).alarms)
            await home.clock.sleep(60)
        all_at_once = [alarm for alarm in alarms if f"all {len(clients)}" in alarm]
        return _compare("collecting", collecting, expect["at"]["collecting"]) + _compare(
            "alarms", (len(alarms), len(all_at_once)), (expect["alarm"] if isinstance(expect["alarm"], int) else 1, 1)
        )

    return run(folder, main)


def _check_mix_up(given: Case, expect: Case, folder: Path) -> Differences:
    """The file of one account is copied over that of another."""

    async def main(home: SpotifyHome) -> Differences:
        first, second = (home.connect(user) for user in given["accounts"][:2])
        await home.clock.sleep(3_600)
        for client in (first, second):
            home.tokens.get(client.account)
        shutil.copy(home.store.find_path(second.account), home.store.find_path(first.account))
        since_ms = home.clock.now_ms
        await home.clock.sleep(1)
        errors = [await _name_error(first.get_player) for _ in range(2)]
        park = home.find_park(first)
        found = _compare("error", errors, ["AccountMismatch"] * 2) + _compare("parked", park and park.reason.value, "other_account")
        found += _compare("calls for the first account", home.count_calls(since_ms=since_ms + 1), 0)
        return found + _compare("the second account", await _name_error(second.get_player), "")

    return run(folder, main)


def _check_sign_ins(given: Case, expect: Case, folder: Path) -> Differences:
    """Sign-ins as people end them."""
    found = []
    for number, (text, outcome) in enumerate(zip(given["cases"], expect["outcomes"], strict=True)):
        check = next((check for words, check in _SIGN_INS if words in text), None)
        if check is None:
            found.append(f"not understood: {text}")
            continue

        async def main(home: SpotifyHome, check: Callable[[SpotifyHome], str] = check) -> str:
            return check(home)

        found += _compare(text, run(folder / str(number), main), outcome)
    return found


def _paste(home: SpotifyHome, change: Callable[[str], str] = str) -> str:
    login, sign_in = home.make_login(home.find_app()), SignIn()
    home.fake_account("u1")
    redirected = change(allow(home.fake, login.auth.get_authorization_url(sign_in), "u1"))
    try:
        login.finish(sign_in, redirected)
    except SoundlakeError as error:
        return "refused (state)" if "state" in error.message else f"exit code {error.exit_code} with the reason"
    return "logged in"


def _deny(home: SpotifyHome) -> str:
    login, sign_in = home.make_login(home.find_app()), SignIn()
    home.fake_account("u1")
    with _listen(sign_in) as (server, ask):
        ask(allow(home.fake, login.auth.get_authorization_url(sign_in), "u1", decision="cancel"))
        try:
            login.finish(sign_in, server.wait(5))
        except SoundlakeError as error:
            return f"exit code {error.exit_code} with the reason" if "access_denied" in error.message else error.message
    return "logged in"


def _call_twice(home: SpotifyHome) -> str:
    login, sign_in = home.make_login(home.find_app()), SignIn()
    home.fake_account("u1")
    with _listen(sign_in) as (server, ask):
        address = allow(home.fake, login.auth.get_authorization_url(sign_in), "u1")
        pages = [ask(address), ask(address)]
        login.finish(sign_in, server.wait(5))
        pages.append(ask(address))
    posts = home.count_calls(_TOKEN)
    return (
        "logged in once and the second shows the same page"
        if len(set(pages)) == 1 and posts == 1
        else f"{len(set(pages))} pages, {posts} calls"
    )


def _ask_favicon(home: SpotifyHome) -> str:
    login, sign_in = home.make_login(home.find_app()), SignIn()
    home.fake_account("u1")
    with _listen(sign_in) as (server, ask):
        ask("/favicon.ico")
        ask(allow(home.fake, login.auth.get_authorization_url(sign_in), "u1"))
        login.finish(sign_in, server.wait(5))
    return "ignored"


def _wait_in_vain(home: SpotifyHome) -> str:
    sign_in = SignIn()
    with _listen(sign_in) as (server, _):
        port = server.port
        try:
            server.wait(0.2)
        except NoAnswer as error:
            code = error.exit_code
    with CallbackServer(f"http://127.0.0.1:{port}/callback", sign_in):
        return f"exit code {code} and the port is free again"


@contextmanager
def _listen(sign_in: SignIn) -> Iterator[tuple[CallbackServer, Callable[[str], str]]]:
    """A server at a free port, and a browser that follows redirects of the usual address to it."""
    with CallbackServer("http://127.0.0.1:0/callback", sign_in) as server:

        def ask(address: str) -> str:
            parts = urlsplit(address)
            return httpx.get(f"http://127.0.0.1:{server.port}{parts.path}", params=dict(parse_qsl(parts.query))).text

        yield server, ask


_SIGN_INS: tuple[tuple[str, Callable[[SpotifyHome], str]], ...] = (
    ("wrong state", partial(_paste, change=lambda address: re.sub("state=[^&]*", "state=other", address))),
    ("pastes", _paste),
    ("twice", _call_twice),
    ("access_denied", _deny),
    ("favicon", _ask_favicon),
    ("time limit", _wait_in_vain),
)

_TOKEN_CASES = {
    "processes": _check_processes,
    "answers": _check_answers,
    "authorized_at": _check_end_of_authorization,
    "steps": _check_mix_up,
    "cases": _check_sign_ins,
    "server": _check_outage,
}


# Answers over HTTP


def _check_exchanges(given: Case, expect: Case, folder: Path) -> Differences:
    """One call each, of a home of its own: the error, how long it lasts, and who waits."""
    found = []
    for number, exchange in enumerate(given["exchanges"]):

        async def main(home: SpotifyHome, number: int = number, exchange: Case = exchange) -> Differences:
            first, second = home.connect("u1"), home.connect("u2")
            home.fake.faults.add(Fault("respond", count=1, details=_write_details(exchange)))
            begun, name, error = home.clock(), "", None
            try:
                await first.get_player()
            except SoundlakeError as caught:
                error, name = caught, _describe_error(caught)
            place = f"exchange {number + 1}"
            differs = _compare(f"{place}: error", name, expect["errors"][number]) if "errors" in expect else []
            differs += _compare(f"{place}: slept", (home.clock() - begun).total_seconds(), 0.0)
            if "until_s" in expect:
                differs += _check_until(place, expect["until_s"][number], exchange, begun, error)
            if "parked" in expect:
                others = "all accounts of the app" if home.find_park(second) else "the account" if home.find_park(first) else "nobody"
                differs += _compare(f"{place}: parked", others, expect["parked"][number])
            if isinstance(error, Forbidden) and error.reason in expect.get("recheck", {}):
                differs += _compare(f"{place}: next try", _describe_recheck(error, begun), expect["recheck"][error.reason])
            return differs + (await _check_no_call_before(place, home, first, error) if "never" in expect else [])

        found += run(folder / str(number), main)
    return found


async def _check_no_call_before(place: str, home: SpotifyHome, client: SpotifyAPIClient, error: SoundlakeError | None) -> Differences:
    """No call a second before the end of a wait, whatever its length."""
    until = getattr(error, "until", None)
    if until is None:
        return [f"{place}: no end of the wait"]
    home.clock.set(now=until - timedelta(seconds=1))
    since_ms = home.clock.now_ms
    found = _compare(f"{place}: a call that waits", bool(await _name_error(client.get_player)), True)
    return found + _compare(f"{place}: calls before the end of the wait", home.count_calls(since_ms=since_ms), 0)


def _check_until(place: str, wanted: Any, exchange: Case, now: datetime, error: SoundlakeError | None) -> Differences:
    until = getattr(error, "until", None)
    seconds = None if until is None else (until - now).total_seconds()
    if isinstance(wanted, int | float):
        return _compare(f"{place}: until", seconds, float(wanted))
    if "date" in str(wanted):
        return _compare(f"{place}: until", until, parsedate_to_datetime(exchange["retry_after"]))
    least = float(next(iter(re.findall(r"\d+", str(wanted))), 5))
    return [] if seconds is not None and seconds >= least else [f"{place}: until {seconds}, right is {wanted}"]


def _describe_recheck(error: Forbidden, now: datetime) -> str:
    if error.until is None:
        return "at the next login" if error.reason == "scope" else "by hand"
    hours = (error.until - now) / timedelta(hours=1)
    return "every hour" if hours == 1 else f"every {hours:.0f} h"


def _check_parking(given: Case, expect: Case, folder: Path) -> Differences:
    """Polls of several accounts and apps while answers park some of them; the processes begin again in between."""
    apps = {name: FakeApp(client_id=name, developer=given["developer"][name]) for name in set(given["accounts"].values())}
    events = sorted(given["events"], key=lambda event: event["at"])
    waiting_until = max(event["at"] for event in events) + 60
    end = max(span["to"] for span in expect["calls_between"]) + 60

    async def main(home: SpotifyHome) -> Differences:
        clients = {user: home.connect(user, apps[app]) for user, app in given["accounts"].items()}
        t0, made, waiting = home.clock.now_ms, [], list(events)
        while (second := (home.clock.now_ms - t0) // 1_000) < end:
            if given.get("restart_at") is not None and second >= given["restart_at"]:
                fresh = SpotifyHome(home.fake, home.clock, folder)
                clients = {user: fresh.make_client(one.account, apps[given["accounts"][user]]) for user, one in clients.items()}
            if waiting and second >= waiting[0]["at"]:
                event = waiting.pop(0)
                body = {"error": {"status": event["answer"], "message": "x", **({"reason": event["reason"]} if "reason" in event else {})}}
                details = _write_details({"status": event["answer"], "retry_after": event.get("retry_after"), "body": body})
                home.fake.faults.add(Fault("respond", accounts=frozenset({event["account"]}), count=1, details=details))
                await _name_error(clients[event["account"]].get_player)
            for user, client in clients.items():
                before = home.count_calls("/v1/me/player", account=user)
                await _name_error(client.get_player)
                if home.count_calls("/v1/me/player", account=user) > before:
                    made.append((user, second))
            pause = 1_800 if second > waiting_until else 20
            await home.clock.sleep(min([pause, *(event["at"] - second for event in waiting if event["at"] > second)]))
        found = []
        for span in expect["calls_between"]:
            count = sum(user in span["accounts"] and span["from"] <= second < span["to"] for user, second in made)
            found += [] if (count > 0) == (span["calls"] == "some" or span["calls"] not in (0, "0")) else [f"{count} calls in {span}"]
        return found

    return run(folder, main, apps=list(apps.values()))


def _check_day(given: Case, expect: Case, folder: Path) -> Differences:
    """A day of poller and backfill inside the limits of an app; some listen for hours, others not at all."""
    hours = {user: _read_count(text) for user, text in given["listening"].items()}
    app = FakeApp(calls_per_window=given["fake_limit"]["calls"])

    async def main(home: SpotifyHome) -> Differences:
        home.fake.limits.calls_per_day[app.developer] = given["fake_quota"]["calls"]
        for user, count in hours.items():
            songs = [{"run": [200 * song, 200 * (song + 1), f"T{song % 7}", 0]} for song in range(count * 18)]
            tracks = {f"T{song}": 200_000 for song in range(7)}
            home.fake.add_account(write_timeline(user, T0_MS, tracks, [*songs, {"none": [count * 3_600, 10**6]}]))
            await home.clock.sleep(60)
            home.connect(user)
        begun = home.clock.now_ms
        await _run_collectors(home, folder, given["hours"] * 3_600)
        answers = [call for call in home.fake.calls if call.at_ms >= begun]
        refused = sum(one.status == 429 for one in answers)
        found = [] if refused <= max(_numbers(expect["429_rate_count"])) else [f"{refused} answers 429"]
        quota = [park for park in home.budget.list_parks() if park.reason is Reason.QUOTA]
        found += _compare("quota", len(quota), expect["quota_429"])
        for user in hours:
            times = [one.at_ms for one in answers if one.account == user and one.path.endswith("recently-played") and one.status == 200]
            longest = max(after - before for before, after in pairwise([begun, *times, home.clock.now_ms])) / 60_000
            found += [] if longest <= max(_numbers(expect["reserve"])) + 1 else [f"{user}: {longest:.0f} minutes without history"]
        use = home.budget.measure_use(home.make_client("", app).app)
        return found + ([] if use.live_calls_in_day <= use.live_limit else ["live calls took the reserve of history"])

    return run(folder, main, apps=[app], limits=Limits())


async def _run_collectors(home: SpotifyHome, folder: Path, seconds: float) -> None:
    """Poller and backfill side by side, as two services of a home."""
    broker = MemoryBroker(home.clock)
    broker.create_topics(TOPICS, partitions=1)
    publisher, app = Publisher(broker, home.clock), home.find_app()

    def make_client(connection: Connection) -> SpotifyAPIClient:
        return home.make_client(connection.account, app)

    poller = Poller(
        home.store, ListeningStore(folder / "listening"), make_client, publisher, home.clock, home.clock.sleep,
        lambda one, listeners: find_pace(home.budget.measure_use(App(one.client_id, one.developer)), listeners),
    )  # fmt: skip
    backfill = Backfill(home.store, HistoryStore(folder / "history"), make_client, publisher, home.clock)
    tasks = [
        asyncio.ensure_future(poller.run(lambda _: None)),
        asyncio.ensure_future(backfill.run(EVERY, home.clock.sleep, lambda _: None)),
    ]
    await home.clock.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _check_no_wait(given: Case, expect: Case, folder: Path) -> Differences:
    """A refused call ends at once, and a sign-in with another app works meanwhile."""
    other = FakeApp(client_id="other-app", developer="other-developer")

    async def main(home: SpotifyHome) -> Differences:
        client, begun = home.connect("u1"), home.clock()
        home.fake.faults.add(Fault("respond", count=1, details=_write_details(given["answer"])))
        errors = [await _name_error(client.get_player) for _ in range(3)]
        seconds = (home.clock() - begun).total_seconds()
        found = [] if seconds <= expect["stop_within_s"] else [f"the call lasted {seconds} s"]
        found += _compare("errors", errors, ["RateLimited"] * 3) + _compare("calls", home.count_calls("/v1/me/player"), 1)
        return found + _compare("sign-in with another app", bool(home.connect("u2", other)), True)

    return run(folder, main, apps=[FakeApp(), other])


def _write_details(exchange: Case) -> dict[str, Any]:
    """An exchange as the details of the fault that gives it."""
    known = ("status", "retry_after", "content_type", "body", "headers")
    return {name: exchange[name] for name in known if exchange.get(name) is not None}


_HTTP_CASES = {"exchanges": _check_exchanges, "events": _check_parking, "fake_limit": _check_day, "answer": _check_no_wait}


async def _name_error(call: Callable[[], Any]) -> str:
    """The error of a call, empty for none."""
    try:
        await call()
    except SoundlakeError as error:
        return _describe_error(error)
    return ""


def _describe_error(error: SoundlakeError) -> str:
    return f"Forbidden({error.reason})" if isinstance(error, Forbidden) else type(error).__name__


def _read_count(value: Any) -> int:
    return _numbers(value)[0]


def _numbers(value: Any) -> list[int]:
    """The whole numbers in a value or a sentence."""
    return [int(digits) for digits in re.findall(r"\d+", str(value))]


def _compare(what: str, found: Any, wanted: Any) -> Differences:
    return [] if found == wanted else [f"{what}: {found}, right is {wanted}"]
