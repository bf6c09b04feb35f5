import json

import pytest
from history_rows import make_extended, make_short, read_bytes

from soundlake.history import BrokenFile


def test_a_byte_order_mark_is_skipped():
    data = json.dumps([make_extended()]).encode()
    assert read_bytes(b"\xef\xbb\xbf" + data).events.equals(read_bytes(data).events)


def test_an_empty_list_has_no_rows():
    assert read_bytes(b"[]").rows_read == 0


@pytest.mark.parametrize(
    ("data", "line", "byte"),
    [
        (b"", 1, 0),
        (b'[\n {"ts": 1},\n {"ts', 3, 16),
        (b'[\n {"ts": 1},\n oops]', 3, 15),
        (b'\xef\xbb\xbf["\xc3\xa9", oops]', 1, 10),
        (b'[\n"\xff"]', 2, 3),
        (b'"ts"', 1, 0),
        (b"PK\x03\x04\xff", 1, 4),
    ],
    ids=["empty", "truncated", "not JSON", "after a byte order mark and an accent", "not UTF-8", "no list", "no text at all"],
)
def test_the_error_of_a_broken_file_has_name_and_position(data, line, byte):
    with pytest.raises(BrokenFile, match="endsong_0") as broken:
        read_bytes(data)
    assert (broken.value.line, broken.value.byte) == (line, byte)
    assert broken.value.exit_code == 3


def test_the_error_of_a_truncated_file_says_so():
    with pytest.raises(BrokenFile, match="ends in the middle"):
        read_bytes(json.dumps([make_extended()]).encode()[:-1])


def test_half_a_surrogate_pair_in_a_title_is_replaced():
    data = json.dumps([make_short(trackName="a\ud83db"), make_short(trackName="ok \U0001f600")]).encode()
    assert read_bytes(data).events["track_name"].to_pylist() == ["a\ufffdb", "ok \U0001f600"]


def test_nan_makes_a_refused_row_not_a_broken_file():
    result = read_bytes(json.dumps([make_short(msPlayed=float("nan")), make_short()]).encode())
    assert [refused.reason for refused in result.refused] == ["bad_ms_played"]


def test_a_deeply_nested_file_is_broken():
    with pytest.raises(BrokenFile, match="nested"):
        read_bytes(b"[" * 200_000)
