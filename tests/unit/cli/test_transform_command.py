"""When `soundlake transform --every` builds."""

from __future__ import annotations

from itertools import islice

from soundlake.cli.transform import list_pauses


def test_the_first_build_of_an_empty_home_is_followed_by_the_second_at_once():
    assert list(islice(list_pauses(60.0, was_empty=True), 3)) == [1.0, 60.0, 60.0]


def test_a_home_with_plays_is_built_as_often_as_asked_for():
    assert list(islice(list_pauses(60.0, was_empty=False), 3)) == [60.0, 60.0, 60.0]
