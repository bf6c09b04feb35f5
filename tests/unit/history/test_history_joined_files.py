"""Files that a person or a program put together: every row is read once, and nothing between the rows becomes one."""

import json

import pytest
from history_rows import make_extended, make_short, read_bytes, recognise

from soundlake.history.nested_rows import list_rows

ROWS = [make_extended(ts=f"2024-03-0{day}T10:00:00Z") for day in (1, 2, 3, 4)]
ONE, TWO, THREE, FOUR = map(json.dumps, ROWS)
COLUMNS = {name: {str(number): row[name] for number, row in enumerate(ROWS)} for name in ROWS[0]}


@pytest.mark.parametrize(
    "text",
    [
        f"[{ONE},{TWO}],\n[{THREE},{FOUR}]",
        f"[{ONE},{TWO}]\n\ufeff[{THREE},{FOUR}]",
        f"\ufeff{ONE}\n{TWO}\n\ufeff{THREE}\n{FOUR}\n",
        f"{ONE},\n{TWO},\n{THREE},\n{FOUR}\n",
        f"{ONE},\n{TWO},\n{THREE},\n{FOUR},\n",
        f"[{ONE},{TWO},\n{THREE},{FOUR},\n]\n",
        f"[[{ONE},{TWO}],[{THREE}],[[{FOUR}]]]",
        json.dumps({"2023": ROWS[:1], "2024": ROWS[1:]}),
        json.dumps({"saved": "today", "count": 4, "rows": ROWS, "notes": []}),
        json.dumps({"data": {"history": {"2023": ROWS[:2], "2024": ROWS[2:]}}}),
        json.dumps(COLUMNS),
        json.dumps(dict(enumerate(ROWS))),
    ],
    ids=[
        "a comma between arrays", "a mark before each array", "a mark before each file of lines", "lines with commas", "the last one too",
        "a comma behind the last", "arrays in an array", "a list a year", "a list in an object", "deeper", "columns of Pandas", "an index",
    ],
)  # fmt: skip
def test_every_row_is_read_once(text):
    assert recognise(text) == "spotify_export"
    result = read_bytes(text.encode())
    assert result.refused == ()
    assert result.events.equals(read_bytes(json.dumps(ROWS).encode()).events)


def test_of_an_object_around_lists_each_element_is_counted():
    result = read_bytes(json.dumps({"2023": [make_short(), 5, {"a": 1}], "2024": [make_short()], "playlists": [{"a": 1}]}).encode())
    assert ([refused.reason for refused in result.refused], len(result.events)) == (["unknown_shape"] * 2, 2)


def test_a_value_without_rows_and_one_too_deep_stay_as_they_are():
    deep = "row"
    for _ in range(2_000):
        deep = [deep]
    assert list_rows({"a": [1]}, lambda value: value == "row") == [{"a": [1]}]
    assert len(list_rows(deep, lambda value: value == "row")) == 1
    assert list_rows({"a": deep}, lambda value: value == "row") == [{"a": deep}]
