import random
from uuid import UUID

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from soundlake.importing.known_ids import KnownIds, parse_uuids

# few distinct bytes, many of them zero: what a comparison that stops at the end of a text would confuse
UUIDS = st.lists(st.sampled_from([0, 0, 1, 255]), min_size=16, max_size=16).map(lambda numbers: str(UUID(bytes=bytes(numbers))))
COLUMNS = st.lists(UUIDS, max_size=12)


@given(st.lists(COLUMNS, max_size=14), st.sampled_from([2, 20, 1000]))
@settings(max_examples=50, deadline=None)
def test_an_id_is_new_only_once(columns, large_run):
    known, expected = KnownIds(large_run=large_run), set()
    for column in columns:
        new = []
        for event_id in column:
            new.append(event_id not in expected)
            expected.add(event_id)
        assert known.add(pa.array(column, pa.string())).tolist() == new
        assert len(known) == len(expected)


@given(COLUMNS, COLUMNS, COLUMNS)
@settings(max_examples=50, deadline=None)
def test_ids_are_contained_until_they_are_discarded(added, gone, asked):
    known = KnownIds()
    known.add(pa.array(added, pa.string()))
    known.discard(pa.array(gone, pa.string()))
    assert known.contains(pa.array(asked, pa.string())).tolist() == [one in set(added) - set(gone) for one in asked]


def test_more_than_eight_sorted_arrays_are_merged():
    known = KnownIds()
    for number in range(9):
        assert len(known._runs) == number
        known.add(pa.array([str(UUID(int=number))]))
    assert len(known._runs) == 1
    assert known.contains(pa.array([str(UUID(int=number)) for number in range(10)])).tolist() == [True] * 9 + [False]


def test_a_large_array_is_not_merged_again():
    known = KnownIds(large_run=9)
    for number in range(18):
        known.add(pa.array([str(UUID(int=number))]))
    assert [len(run) for run in known._runs] == [9, 9]
    assert known.contains(pa.array([str(UUID(int=number)) for number in range(19)])).tolist() == [True] * 18 + [False]


def test_a_column_without_new_ids_adds_no_array():
    known = KnownIds()
    for _ in range(3):
        known.add(pa.array([str(UUID(int=1))]))
    assert (len(known._runs), len(known)) == (1, 1)


def test_uuids_are_parsed_from_arrays_slices_and_chunks():
    chance = random.Random(1)
    texts = [str(UUID(int=chance.getrandbits(128))) for _ in range(50)] + [str(UUID(int=0))]
    expected = [UUID(text).bytes.rstrip(b"\0") for text in texts]
    assert parse_uuids(pa.array(texts)).tolist() == expected
    assert parse_uuids(pa.array(texts).slice(7, 9)).tolist() == expected[7:16]
    assert parse_uuids(pa.chunked_array([texts[:3], [], texts[3:]])).tolist() == expected
