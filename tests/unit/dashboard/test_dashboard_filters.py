"""The window of a period, the window before it, and which of its hours and days are complete."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from soundlake.dashboard.filters import (
    ALL_TIME,
    CUSTOM_PERIOD,
    Extent,
    Window,
    choose_grain,
    find_complete_hours,
    find_previous_window,
    is_complete,
    resolve_window,
)

EXTENT = Extent(datetime(2023, 12, 31, 23, 59, tzinfo=UTC), datetime(2024, 3, 1, 9, 30, tzinfo=UTC))


def midnight(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "days", "since", "until"),
    [
        ("Last 7 days", (), midnight(2024, 2, 24), midnight(2024, 3, 2)),
        ("Last 30 days", (), midnight(2024, 2, 1), midnight(2024, 3, 2)),
        (ALL_TIME, (), midnight(2023, 12, 31), midnight(2024, 3, 2)),
        (CUSTOM_PERIOD, (date(2024, 2, 29), date(2024, 2, 29)), midnight(2024, 2, 29), midnight(2024, 3, 1)),
        (CUSTOM_PERIOD, (date(2024, 2, 1),), midnight(2024, 2, 1), midnight(2024, 3, 2)),
        (CUSTOM_PERIOD, (date(2025, 2, 1),), midnight(2025, 2, 1), midnight(2025, 2, 2)),
        (CUSTOM_PERIOD, (), midnight(2023, 12, 31), midnight(2024, 3, 2)),
    ],
    ids=["a week over a leap day", "thirty days", "all", "a leap day alone", "no end yet", "a beginning after the end", "no dates yet"],
)
def test_a_period_is_whole_days_up_to_the_newest_play(period: str, days: tuple[date, ...], since: datetime, until: datetime) -> None:
    assert resolve_window(period, days, EXTENT) == Window(since, until)


def test_a_window_knows_its_days() -> None:
    window = Window(midnight(2024, 2, 28), midnight(2024, 3, 2))
    assert (window.first_day, window.last_day, window.days) == (date(2024, 2, 28), date(2024, 3, 1), 3)


def test_a_period_that_is_over_is_compared_with_whole_days() -> None:
    window = Window(midnight(2024, 2, 10), midnight(2024, 2, 20))
    assert find_previous_window(window, EXTENT) == Window(midnight(2024, 1, 31), midnight(2024, 2, 10))


def test_an_unfinished_day_is_compared_with_the_same_part_of_a_day() -> None:
    window = resolve_window("Last 7 days", (), EXTENT)
    previous = find_previous_window(window, EXTENT)
    assert previous is not None
    assert previous.since == midnight(2024, 2, 17)
    assert previous.until == EXTENT.last - timedelta(days=7) + timedelta(microseconds=1)


def test_a_period_with_less_data_before_it_is_not_compared() -> None:
    assert find_previous_window(resolve_window(ALL_TIME, (), EXTENT), EXTENT) is None
    assert find_previous_window(Window(midnight(2024, 1, 30), midnight(2024, 3, 2)), EXTENT) is None


@pytest.mark.parametrize(
    ("built_at", "until"),
    [
        (datetime(2024, 3, 1, 9, 45, tzinfo=UTC), datetime(2024, 3, 1, 9, tzinfo=UTC)),
        (datetime(2024, 3, 1, 10, tzinfo=UTC), datetime(2024, 3, 1, 10, tzinfo=UTC)),
    ],
    ids=["the newest hour was open at the build", "the newest hour was over at the build"],
)
def test_complete_hours_go_from_the_first_day_of_the_data_to_the_newest_hour_that_is_over(built_at: datetime, until: datetime) -> None:
    window = Window(midnight(2023, 12, 1), midnight(2024, 3, 2))
    assert find_complete_hours(window, EXTENT, built_at) == Window(midnight(2023, 12, 31), until)


def test_complete_hours_of_a_window_in_the_past_are_all_of_it_and_of_one_in_the_future_none() -> None:
    past, future = Window(midnight(2024, 1, 1), midnight(2024, 2, 1)), Window(midnight(2025, 1, 1), midnight(2025, 2, 1))
    assert find_complete_hours(past, EXTENT, EXTENT.last) == past
    assert find_complete_hours(future, EXTENT, EXTENT.last) == Window(future.since, future.since)


@pytest.mark.parametrize(
    ("first", "last", "grain", "expected"),
    [
        (date(2024, 2, 29), date(2024, 2, 29), "day", True),
        (date(2024, 3, 1), date(2024, 3, 1), "day", False),
        (date(2024, 2, 19), date(2024, 2, 25), "week", True),
        (date(2024, 2, 20), date(2024, 2, 25), "week", False),
        (date(2024, 2, 19), date(2024, 2, 24), "week", False),
        (date(2024, 2, 26), date(2024, 3, 3), "week", False),
        (date(2024, 2, 1), date(2024, 2, 29), "month", True),
        (date(2024, 2, 1), date(2024, 2, 28), "month", False),
        (date(2024, 2, 2), date(2024, 2, 29), "month", False),
        (date(2024, 3, 1), date(2024, 3, 31), "month", False),
    ],
)
def test_a_bucket_is_complete_if_it_is_whole_and_was_over_at_the_build(first: date, last: date, grain: str, expected: bool) -> None:
    assert is_complete(first, last, grain, datetime(2024, 3, 1, 9, 30, tzinfo=UTC)) is expected


def test_a_day_is_complete_at_its_midnight() -> None:
    assert is_complete(date(2024, 2, 29), date(2024, 2, 29), "day", midnight(2024, 3, 1))
    assert not is_complete(date(2024, 2, 29), date(2024, 2, 29), "day", midnight(2024, 3, 1) - timedelta(microseconds=1))


@pytest.mark.parametrize(("days", "grain"), [(1, "day"), (120, "day"), (121, "week"), (770, "week"), (771, "month")])
def test_a_longer_window_has_a_coarser_grain(days: int, grain: str) -> None:
    assert choose_grain(days) == grain
