import hashlib
import json
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from soundlake.history import BrokenFile
from soundlake.history.json_values import LargeValue, split_json

TEXTS = st.text(st.sampled_from('ab"\\,[]{} \n\u00e9\U0001f600'), max_size=6)
NESTED = st.recursive(st.none() | st.integers() | TEXTS, lambda some: st.lists(some, max_size=3), max_leaves=5)
VALUES = st.dictionaries(TEXTS, NESTED, max_size=3)


def split(text, size=7, limit=10**6):
    data = text if isinstance(text, bytes) else text.encode()
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    return [value for values in split_json("f", blocks, max_value_bytes=limit) for value in values]


@given(st.lists(VALUES, max_size=5), st.integers(1, 40), st.sampled_from([None, 0, 2]))
@example([{'\\"': "\\\\"}, {"a": '\\\\\\"'}], 1, None)
def test_the_elements_of_an_array_are_found_wherever_the_blocks_end(rows, size, indent):
    assert [json.loads(value) for value in split(json.dumps(rows, indent=indent, ensure_ascii=False), size)] == rows


@given(st.lists(VALUES, max_size=5), st.integers(60, 90))
def test_objects_over_several_lines_are_found_by_their_brackets(rows, size):
    text = "\n".join(json.dumps({"x": 1, **row}, indent=1, ensure_ascii=False) for row in rows)
    assert [json.loads(value) for value in split(text, size)] == [{"x": 1, **row} for row in rows]


@given(st.lists(VALUES, min_size=1, max_size=5), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_lines_are_values(rows, end):
    assert [json.loads(value) for value in split(end.join(map(json.dumps, rows)), 200)] == rows


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('[{"a":1}][{"b":2}]', [b'{"a":1}', b'{"b":2}']),
        ('[{"a":1},]\n[]\n', [b'{"a":1}']),
        ('\ufeff [1, "x,]", null]', [b"1", b'"x,]"', b"null"]),
        ("", []),
        ("[]", []),
        ("  \n", []),
        ('{"a":1}', [b'{"a":1}']),
    ],
    ids=["arrays in a row", "a comma too many", "scalars after a byte order mark", "empty", "an empty array", "blank", "one object"],
)
def test_other_forms(text, values):
    assert split(text, 500) == values


def test_a_line_that_is_not_json_is_one_value_and_the_others_are_read():
    assert split('{"a":1}\n{"b": "\n{"c":3}\n', 500) == [b'{"a":1}', b'{"b": "', b'{"c":3}']


@pytest.mark.parametrize(("text", "byte", "line"), [('[\n{"a":1},\n{"b"', 15, 3), ('[{"a":1}]]', 9, 1), ('[{"a":"', 7, 1)], ids=str)
def test_brackets_that_do_not_match_are_an_error_with_a_position(text, byte, line):
    with pytest.raises(BrokenFile) as broken:
        split(text)
    assert (broken.value.byte, broken.value.line) == (byte, line)


@pytest.mark.parametrize(("before", "after"), [("[1,", ",2]"), ('{"a":1}\n', "\n{}")], ids=["an array", "lines"])
def test_a_value_over_the_limit_is_counted_and_hashed_and_the_others_are_read(before, after):
    large = '{"t":"' + "é" * 300 + '"}'
    first, found, last = split(before + large + after, size=64, limit=100)
    assert found == LargeValue(len(large.encode()), hashlib.sha256(large.encode()).hexdigest())
    assert len(first) + len(last) < 20


@pytest.mark.parametrize("before", ["[1,", '{"a":1}\n'], ids=["an array", "lines"])
def test_a_large_value_costs_no_memory(before):
    block = b"x" * 2**20
    blocks = [before.encode() + b'{"t":"', *[block] * 60]
    tracemalloc.start()
    try:
        for _ in split_json("f", blocks, max_value_bytes=2**20):
            pass
    except BrokenFile:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 * 2**20
