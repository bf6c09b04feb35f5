"""What a choice of a period means, and what it is compared with."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from soundlake.dashboard.filters import ALL_TIME, CUSTOM_PERIOD, Extent, Window, find_previous_window, resolve_window

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
def test_a_period_is_whole_days_up_to_the_last_play(period: str, days: tuple[date, ...], since: datetime, until: datetime) -> None:
    assert resolve_window(period, days, EXTENT) == Window(since, until)


def test_a_window_knows_its_days() -> None:
    window = Window(midnight(2024, 2, 28), midnight(2024, 3, 2))
    assert (window.first_day, window.last_day, window.days) == (date(2024, 2, 28), date(2024, 3, 1), 3)


def test_a_period_that_is_over_is_compared_with_whole_days() -> None:
    window = Window(midnight(2024, 2, 10), midnight(2024, 2, 20))
    assert find_previous_window(window, EXTENT) == Window(midnight(2024, 1, 31), midnight(2024, 2, 10))


def test_a_day_that_is_not_over_is_compared_with_as_much_of_the_day_before() -> None:
    window = resolve_window("Last 7 days", (), EXTENT)
    previous = find_previous_window(window, EXTENT)
    assert previous is not None
    assert previous.since == midnight(2024, 2, 17)
    assert previous.until == EXTENT.last - timedelta(days=7) + timedelta(microseconds=1)


def test_a_period_longer_than_what_was_before_it_is_not_compared() -> None:
    assert find_previous_window(resolve_window(ALL_TIME, (), EXTENT), EXTENT) is None
    assert find_previous_window(Window(midnight(2024, 1, 30), midnight(2024, 3, 2)), EXTENT) is None
