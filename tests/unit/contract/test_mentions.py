"""Whose a record is: by its key, its user_id, or a word in bytes that do not decode."""

from __future__ import annotations

import base64
import json

import pyarrow as pa
import pytest

from soundlake.contract.mentions import OwnerSearch

SEARCH = OwnerSearch(["alice", "käthe 1", "a/b+c", "x", "user-000123"])


def is_found(value: bytes | None, key: bytes | None = None, search: OwnerSearch = SEARCH) -> bool:
    return bool(search.find(pa.array([key], pa.binary()), pa.array([value], pa.binary()))[0])


def in_base64(text: str) -> bytes:
    return base64.b64encode(text.encode())


@pytest.mark.parametrize("value", [
    pytest.param(b'{"user_id": "alice"}', id="its user_id"),
    pytest.param(json.dumps({"user_id": "käthe 1"}).encode(), id="escaped"),
    pytest.param(json.dumps({"row": json.dumps({"name": "käthe 1"})}).encode(), id="escaped twice"),
    pytest.param(b"broken alice!", id="a word"),
    pytest.param("käthe 1 grüßt".encode(), id="a word of several bytes a letter"),
    pytest.param(b"\xff\x00 a/b+c", id="signs"),
    pytest.param(b"x", id="all of it"),
    *(pytest.param(b"{" + in_base64("!" * shift + ' "user-000123" ') + b"}", id=f"base64 at place {shift}") for shift in range(3)),
    pytest.param(b'{"_refused": {"reason": "r", "row": "{}", "source": "s", "user_id": "a/b+c"}}', id="a wrapped row"),
    pytest.param(b"[" * 100_000 + b' "alice"', id="nested without an end"),
])  # fmt: skip
def test_a_record_of_the_listener_is_found(value):
    assert is_found(value)


@pytest.mark.parametrize("value", [
    pytest.param(b'{"user_id": "bob", "playlist_name": "alice"}', id="another's, which mentions it"),
    pytest.param(b"broken malice", id="within a word"),
    pytest.param(b"alice-2 alice_ 1alice", id="a longer id"),
    pytest.param("alicé".encode(), id="before another letter"),
    pytest.param(b"xx", id="a longer word of a short id"),
    pytest.param(b"", id="empty"),
    pytest.param(None, id="null"),
])  # fmt: skip
def test_another_record_is_not_found(value):
    assert not is_found(value)


def test_the_key_names_the_listener_whatever_the_value_is():
    assert is_found(None, b"alice")
    assert is_found(b"{", b"alice")
    assert not is_found(b"{", b"alicex")


def test_sources_limit_what_is_found():
    search = OwnerSearch(["alice"], ["spotify_live"])
    assert is_found(b'{"user_id": "alice", "source": "spotify_live"}', search=search)
    assert not is_found(b'{"user_id": "alice", "source": "lastfm"}', search=search)
    assert not is_found(b"broken alice", search=search)


def test_words_are_masked_in_a_text_of_the_same_length():
    assert SEARCH.mask(b"alice: malice, alice") == b"*****: malice, *****"


def test_many_listeners_are_found_in_parts():
    search = OwnerSearch([f"listener-{number}" for number in range(500)])
    assert is_found(b"broken listener-499", search=search)
    assert not is_found(b"broken listener-500", search=search)
