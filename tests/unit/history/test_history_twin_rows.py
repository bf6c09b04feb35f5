"""Rows of one file that look like one play."""

from soundlake.history.twin_rows import number_repeats, number_twins


def test_rows_that_differ_in_look_or_time_have_no_number():
    assert number_twins(["x:1", "x:1", "x:2"], [("a", 1), ("b", 1), ("a", 1)], ["p", "q", "p"]) == ["x:1", "x:1", "x:2"]


def test_twins_are_numbered_by_their_keys_whatever_their_order():
    looks = [("a", 1)] * 3
    assert number_twins(["x:1"] * 3, looks, ["p", "q", "r"]) == ["x:1", "x:1#2", "x:1#3"]
    assert number_twins(["x:1"] * 3, looks, ["r", "p", "q"]) == ["x:1#3", "x:1", "x:1#2"]


def test_repeats_of_a_row_have_its_number():
    assert number_twins(["x:1"] * 3, [("a", 1)] * 3, ["q", "p", "q"]) == ["x:1#2", "x:1", "x:1#2"]


def test_rows_that_differ_in_their_start_alone_are_numbered_by_it_whatever_their_order():
    assert number_repeats(["p"] * 3, [7, 5, 9]) == [(2,), (), (3,)]
    assert number_repeats(["p"] * 3, [9, 7, 5]) == [(3,), (2,), ()]


def test_equal_rows_and_rows_of_other_facts_have_no_number():
    assert number_repeats(["p", "p", "q"], [5, 5, 7]) == [(), (), ()]


def test_a_repeated_row_has_the_number_of_its_first():
    assert number_repeats(["p"] * 3, [7, 5, 7]) == [(2,), (), (2,)]
