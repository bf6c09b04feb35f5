"""When a row of the extended form was heard."""

import numpy as np
import pytest

from soundlake.history.offline_time import find_starts, read_device_times

SECONDS = 1_709_251_110  # 2024-02-29T23:58:30Z
START = np.datetime64(SECONDS, "s").astype("datetime64[us]")


def find(*, ends, ms_played=60_000, stamps=(SECONDS,), late=False):
    """Start and basis of each row; `ends` are seconds after START."""
    count = len(stamps)
    starts, bases = find_starts(
        np.array([START + np.timedelta64(end, "s") for end in ends], "datetime64[us]"),
        np.full(count, ms_played),
        read_device_times(stamps),
        np.full(count, late),
    )
    return list(zip(((starts - START) / np.timedelta64(1, "s")).tolist(), bases, strict=True))


@pytest.mark.parametrize("stamp", [SECONDS, SECONDS * 1000, SECONDS * 1_000_000, float(SECONDS), str(SECONDS)])
def test_a_start_is_read_in_any_unit(stamp):
    assert read_device_times([stamp]).tolist() == [START.tolist()]


@pytest.mark.parametrize("stamp", [0, 1, None, -SECONDS, "soon", True, 12_345, 10**18, float("nan"), []])
def test_other_values_are_no_time(stamp):
    assert np.isnat(read_device_times([stamp])).all()
    assert find(ends=[7200], stamps=[stamp]) == [(7140.0, "derived_from_end")]


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("end", [66, 7200, 29 * 86400])
def test_an_end_that_came_late_gives_way_to_the_start_that_the_device_noted(end, late):
    assert find(ends=[end], late=late) == [(0.0, "measured")]


@pytest.mark.parametrize("end", [55, 60, 65])
def test_clocks_that_agree_leave_the_time_as_it_is(end):
    assert find(ends=[end], late=True) == [(end - 60.0, "derived_from_end")]


@pytest.mark.parametrize(
    ("end", "stamps"), [(54, [SECONDS]), (31 * 86400, [SECONDS]), (7200, [0]), (7200, [None])], ids=["later", "old", "zero", "null"]
)
def test_a_late_row_without_a_start_to_trust_is_uncertain(end, stamps):
    assert find(ends=[end], stamps=stamps, late=True) == [(end - 60.0, "reported")]
    assert find(ends=[end], stamps=stamps) == [(end - 60.0, "derived_from_end")]


def test_a_start_that_more_than_two_rows_name_is_a_constant():
    assert find(ends=[300, 600], stamps=[SECONDS] * 2) == [(0.0, "measured")] * 2
    assert find(ends=[300, 600, 900], stamps=[SECONDS] * 3) == [(end - 60.0, "derived_from_end") for end in (300, 600, 900)]


def test_repeats_of_one_row_count_once():
    assert find(ends=[300] * 3, stamps=[SECONDS] * 3) == [(0.0, "measured")] * 3


def test_a_length_that_is_wrong_makes_the_end_the_time():
    assert find(ends=[7200], ms_played=10**12) == [(7200.0, "reported")]


def test_no_rows_have_no_starts():
    assert find(ends=[], stamps=[]) == []
