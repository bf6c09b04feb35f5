"""The request budget: who waits until when, and what is left for history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.spotify_processes import take_calls_in_processes

from soundlake.spotify.budget import App, Limits, Purpose, RequestBudget
from soundlake.spotify.errors import BudgetSpent, Forbidden, QuotaExceeded, RateLimited, Unauthorized
from soundlake.spotify.refusals import Reason, Refusal

START = datetime(2026, 1, 1, 20, tzinfo=UTC)
APP, SIBLING, STRANGER = App("app1", "dev"), App("app2", "dev"), App("app3", "other")


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def advance(self, **span):
        self.now += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_budget(tmp_path, clock):
    """Each call is another process of the same home."""
    return lambda window=6, day=1_000: RequestBudget(tmp_path / "budget.json", Limits(window, day), clock)


def take_all(budget, clock, *, purpose=Purpose.LIVE, app=APP, account="u1", every=10.0, most=5_000):
    """Call until the budget refuses; the number of calls and the refusal."""
    for count in range(most):
        try:
            budget.take(app, account, purpose)
        except RateLimited as error:
            return count, error
        clock.advance(seconds=every)
    return most, None


def test_thirty_seconds_hold_the_calls_of_all_processes_and_one_is_kept_for_history(make_budget, clock):
    counts = [take_all(make_budget(), clock, every=0)[0] for _ in range(2)]
    assert counts == [5, 0]
    make_budget().take(APP, "u2", Purpose.HISTORY)
    with pytest.raises(BudgetSpent) as refused:
        make_budget().take(APP, "u2", Purpose.HISTORY)
    assert refused.value.until == START + timedelta(seconds=31)
    clock.advance(seconds=31)
    make_budget().take(APP, "u1", Purpose.LIVE)


def test_processes_that_call_at_once_get_no_call_too_many_and_none_too_few(tmp_path):
    assert take_calls_in_processes(tmp_path / "budget.json", Limits(40, 1_000), 8) == 40


def test_live_calls_of_a_day_leave_the_reserve_of_history_alone(make_budget, clock):
    budget = make_budget(1_000, 300)
    budget.take(APP, "u1", Purpose.HISTORY)
    live, error = take_all(budget, clock)
    assert (live, type(error)) == (300 - 150, BudgetSpent)
    assert error.until > clock() + timedelta(hours=23)
    assert take_all(budget, clock, purpose=Purpose.HISTORY)[0] == 300 - live - 1


def test_a_day_is_a_rolling_one_and_shared_by_all_apps_of_a_developer(make_budget, clock):
    budget = make_budget(1_000, 200)
    assert take_all(budget, clock)[0] == 50
    assert take_all(budget, clock, app=SIBLING)[0] == 0
    assert take_all(budget, clock, app=STRANGER, most=50)[0] == 50
    clock.advance(hours=24)
    assert take_all(budget, clock, every=0, most=10)[0] == 10


@pytest.mark.parametrize(
    ("reason", "kind", "waits"),
    [
        (Reason.RATE, RateLimited, {"app1/u1", "app1/u2"}),
        (Reason.QUOTA, QuotaExceeded, {"app1/u1", "app1/u2", "app2/u3"}),
        (Reason.OWNER_PREMIUM, Forbidden, {"app1/u1", "app1/u2"}),
        (Reason.NOT_ALLOWLISTED, Forbidden, {"app1/u1"}),
        (Reason.UNAUTHORIZED, Unauthorized, {"app1/u1"}),
    ],
    ids=lambda value: getattr(value, "value", None),
)
def test_a_refusal_parks_who_shares_its_reason_in_every_process(make_budget, reason, kind, waits):
    refused = make_budget().record_refusal(APP, "u1", Refusal(reason, timedelta(hours=3) if kind is not Forbidden else None))
    assert isinstance(refused, kind)
    accounts = [(APP, "u1"), (APP, "u2"), (SIBLING, "u3"), (STRANGER, "u4")]
    assert {f"{app.client_id}/{account}" for app, account in accounts if make_budget().find_park(app, account)} == waits
    with pytest.raises(kind):
        make_budget().take(APP, "u1", Purpose.HISTORY)


def test_a_shorter_wait_never_cuts_a_longer_one(make_budget, clock):
    budget = make_budget()
    for seconds in (600, 5):
        error = budget.record_refusal(APP, "u1", Refusal(Reason.RATE, timedelta(seconds=seconds)))
    assert error.until == START + timedelta(seconds=600)
    clock.advance(seconds=599)
    with pytest.raises(RateLimited):
        budget.take(APP, "u2", Purpose.HISTORY)
    clock.advance(seconds=1)
    budget.take(APP, "u2", Purpose.HISTORY)


def test_where_no_wait_is_named_the_own_one_doubles_to_five_minutes_and_begins_again_after_a_calm_time(make_budget, clock):
    budget, waits = make_budget(), []
    for _ in range(8):
        until = budget.record_refusal(APP, "u1", Refusal(Reason.RATE)).until
        waits.append((until - clock()).total_seconds())
        clock.now = until
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    clock.advance(minutes=16)
    assert budget.record_refusal(APP, "u1", Refusal(Reason.RATE)).until == clock() + timedelta(seconds=5)


def test_a_limit_that_was_met_is_learned_and_tried_again_later(make_budget, clock):
    budget = make_budget(20)
    for _ in range(8):
        budget.take(APP, "u1", Purpose.HISTORY)
    budget.record_refusal(APP, "u1", Refusal(Reason.RATE, timedelta(seconds=7)))
    assert budget.measure_use(APP).window_limit == 7
    clock.advance(hours=13)
    assert budget.measure_use(APP).window_limit == 9


def test_a_quota_that_was_met_lowers_the_budget_of_the_day_for_a_week(make_budget, clock):
    budget = make_budget(1_000, 1_000)
    take_all(budget, clock, most=150)
    budget.record_refusal(APP, "u1", Refusal(Reason.QUOTA, timedelta(hours=20)))
    assert budget.measure_use(SIBLING).day_limit == 120
    clock.advance(days=8)
    assert budget.measure_use(APP).day_limit == 1_000


def test_only_a_sign_in_ends_a_wait_without_an_end(make_budget, clock):
    make_budget().record_refusal(APP, "u1", Refusal(Reason.NOT_ALLOWLISTED))
    clock.advance(days=400)
    with pytest.raises(Forbidden, match="User Management"):
        make_budget().check(APP, "u1")
    make_budget().release("u1")
    make_budget().check(APP, "u1")


def test_an_unreadable_file_begins_empty(make_budget, tmp_path):
    make_budget().take(APP, "u1", Purpose.LIVE)
    assert (tmp_path / "budget.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "budget.json").write_bytes(b'{"apps')
    make_budget().take(APP, "u1", Purpose.LIVE)
    assert make_budget().measure_use(APP).calls_in_day == 1
