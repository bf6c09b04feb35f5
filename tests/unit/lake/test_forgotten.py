"""Tombstones: who is forgotten, of which sources, and what is in clear."""

from __future__ import annotations

import obstore
import pyarrow as pa
import pytest
from obstore.store import LocalStore

from soundlake.lake.forgotten import Forgotten, Scope, Tombstones


@pytest.fixture
def tombstones(tmp_path) -> Tombstones:
    return Tombstones(LocalStore(tmp_path))


def make_events(*pairs: tuple[str | None, str | None]) -> pa.Table:
    users, sources = zip(*pairs, strict=True) if pairs else ((), ())
    return pa.table({"user_id": pa.array(users, pa.string()), "source": pa.array(sources, pa.string())})


def test_nobody_is_forgotten_at_first(tombstones, tmp_path):
    assert tombstones.read() == Forgotten()
    assert not tombstones.read().find(make_events(("alice", None))).any()
    assert not tombstones.read().find(make_events()).any()
    assert list(tmp_path.iterdir()) == []


def test_events_are_found_by_listener_and_by_source(tombstones):
    tombstones.add(["alice"], Scope.EVERYTHING)
    tombstones.add(["bob"], Scope.SPOTIFY_API)
    events = make_events(
        ("alice", None), ("bob", None), ("bob", "spotify_live"), ("bob", "spotify_export"), (None, "spotify_live"), ("al", "x")
    )
    assert tombstones.read().find(events).tolist() == [True, False, True, False, False, False]


def test_the_salt_is_kept_and_no_id_is_in_clear(tombstones, tmp_path):
    tombstones.add(["alice"], Scope.EVERYTHING)
    first = tombstones.read()
    Tombstones(LocalStore(tmp_path)).add(["alice", "bob"], Scope.EVERYTHING)
    assert tombstones.read().salt == first.salt
    assert first.hashes < tombstones.read().hashes
    assert not any("alice" in str(path) or b"alice" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_two_lakes_hash_a_listener_differently(tmp_path):
    hashes = [Tombstones(LocalStore(tmp_path / name, mkdir=True)).hash(["alice"])["alice"] for name in ("one", "two")]
    assert hashes[0] != hashes[1]


def test_tombstones_are_listed_only_when_they_have_changed_also_by_another_process(tombstones, tmp_path, monkeypatch):
    listed, list_objects = [], obstore.list
    monkeypatch.setattr(obstore, "list", lambda *args, **options: listed.append(args) or list_objects(*args, **options))
    other = Tombstones(LocalStore(tmp_path))
    for change, is_forgotten in (
        (lambda: None, False),
        (lambda: other.add(["alice"], Scope.EVERYTHING), True),
        (lambda: other.lift(["alice"], Scope.EVERYTHING), False),
        (lambda: tombstones.add(["alice"], Scope.SPOTIFY_API), True),
    ):
        change()
        listed.clear()
        assert [tombstones.read().covers("alice", "spotify_live") for _ in range(3)] == [is_forgotten] * 3
        assert len(listed) == 1


def test_a_tombstone_that_is_added_while_another_process_lists_is_in_its_next_list(tombstones, tmp_path, monkeypatch):
    other, list_objects = Tombstones(LocalStore(tmp_path)), obstore.list
    other.add(["alice"], Scope.EVERYTHING)

    def list_then_add(*args, **options) -> list[object]:
        monkeypatch.undo()
        found = list(list_objects(*args, **options))
        other.add(["bob"], Scope.EVERYTHING)
        return found

    monkeypatch.setattr(obstore, "list", list_then_add)
    assert not tombstones.read().covers("bob")
    assert tombstones.read().covers("bob")


def test_a_tombstone_is_lifted_in_its_scope_only(tombstones):
    tombstones.add(["alice"], Scope.EVERYTHING)
    tombstones.add(["alice"], Scope.SPOTIFY_API)
    assert tombstones.lift(["alice", "bob"], Scope.SPOTIFY_API) == ["alice"]
    assert tombstones.read().covers("alice", "lastfm")
    assert tombstones.lift(["alice"], Scope.EVERYTHING) == ["alice"]
    assert not tombstones.read().covers("alice", "spotify_live")
