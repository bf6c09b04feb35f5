"""Erasure from the tables of a lake: what goes, what is counted of it, and which files are left."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from soundlake.lake import LAYOUTS, NO_POSITION, Lake, PositionMove, Scope, make_position_app_id
from soundlake.lake.deleted_rows import DeletedBy, make_deleted_rows_app_id, make_first_deleted_app_id
from soundlake.lake.erasure import LakeErasure, Person
from soundlake.settings import Address

ALICE = Person(frozenset(["alice"]), Scope.EVERYTHING)


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(Address(f"file://{tmp_path}", "file", path=tmp_path))
    lake.ensure_tables()
    return lake


def append(lake: Lake, name: str, *rows: dict[str, object], position: int | None = None, topic: str = "user_plays") -> None:
    layout = LAYOUTS[name]
    schema = pa.schema([field for field in layout.schema if field.name != "_batch"])
    time = {layout.time_column: datetime(2026, 3, 1, tzinfo=UTC), "_ingested_at": datetime(2026, 3, 1, tzinfo=UTC)}
    table = pa.Table.from_pylist([{**time, "_broker": "log", "_topic": topic, "_partition": 0, **row} for row in rows], schema=schema)
    moves = [] if position is None else [PositionMove(make_position_app_id("log", topic, 0), NO_POSITION, position)]
    lake.open_table(name).append(table, moves)


def count_erased(lake: Lake, name: str, topic: str = "user_plays") -> tuple[int, int]:
    table = lake.open_table(name)
    ids = [make("log", topic, 0, DeletedBy.ERASURE) for make in (make_deleted_rows_app_id, make_first_deleted_app_id)]
    return table.read_position(ids[0]), table.read_position(ids[1])


def test_the_rows_of_a_listener_go_with_every_file_that_held_them_and_are_counted(lake, tmp_path):
    append(lake, "plays", {"user_id": "bob", "_offset": 0}, {"user_id": "alice", "_offset": 1}, {"user_id": None, "_offset": 2})
    append(lake, "plays", {"user_id": "alice", "_offset": 3})
    orphan = next((tmp_path / "bronze" / "plays").rglob("*.parquet")).with_name("part-of-a-dead-writer.parquet")
    orphan.write_bytes(b"alice")
    erasure = LakeErasure(lake, ALICE)
    assert erasure.count("plays") == 2
    assert erasure.erase("plays") == 2
    assert sorted(lake.read("plays", ["_offset"])["_offset"].to_pylist()) == [0, 2]
    assert len(lake.read("plays", ["_offset"], (pc.field("user_id") == "bob") & (pc.field("_offset") >= 0))) == 1
    assert count_erased(lake, "plays") == (2, 1)
    assert len(list((tmp_path / "bronze" / "plays").rglob("*.parquet"))) == len(lake.open_delta("plays").file_uris())
    assert not any(b"alice" in path.read_bytes() for path in (tmp_path / "bronze" / "plays" / "_delta_log").iterdir())
    assert (erasure.erase("plays"), count_erased(lake, "plays")) == (0, (2, 1))


def test_what_came_from_spotifys_api_goes_and_the_rest_stays(lake):
    rows = [{"user_id": "alice", "source": source, "_offset": number} for number, source in enumerate(["spotify_live", "lastfm", None])]
    append(lake, "plays", *rows, {"user_id": "bob", "source": "spotify_live", "_offset": 3})
    assert LakeErasure(lake, Person(ALICE.user_ids, Scope.SPOTIFY_API)).erase("plays") == 1
    assert sorted(lake.read("plays", ["_offset"])["_offset"].to_pylist()) == [1, 2, 3]


def test_rejected_records_are_searched_and_those_that_the_sink_meets_again_are_not_counted(lake):
    append(lake, "plays", {"user_id": "bob", "_offset": 5}, position=5)
    values = [b"broken alice", b"broken malice", b'{"user_id": "alice"}', b'{"user_id": "bob", "who": "alice"}']
    append(lake, "rejected", *({"value": value, "_offset": number} for number, value in enumerate(values)))
    append(lake, "rejected", {"value": b"broken alice", "_offset": 7}, {"key": b"alice", "value": None, "_offset": 8})
    assert LakeErasure(lake, ALICE).erase("rejected") == 4
    assert sorted(lake.read("rejected", ["_offset"])["_offset"].to_pylist()) == [1, 3]
    assert count_erased(lake, "rejected") == (2, 0)


def test_a_table_that_does_not_exist_holds_nobody(lake):
    assert (LakeErasure(lake, ALICE).count("plays", "processed"), LakeErasure(lake, ALICE).erase("plays", "processed")) == (0, 0)


def test_processed_tables_and_quarantine_are_erased_from(lake):
    places = {"_topic": ["user_plays"] * 2, "_partition": [0, 0], "_offset": [0, 1]}
    write_deltalake(lake.find_uri("plays", "processed"), pa.table({"user_id": ["alice", "bob"], "source": ["api", None], **places}))
    quarantine = pa.table({"value": pa.array([b"broken alice", b"{"], pa.binary()), "key": pa.array([None, b"x"], pa.binary()), **places})
    write_deltalake(lake.find_uri("quarantine", "processed"), quarantine)
    erasure = LakeErasure(lake, ALICE)
    assert [erasure.erase(name, "processed") for name in ("plays", "quarantine")] == [1, 1]
    for name in ("plays", "quarantine"):
        assert DeltaTable(lake.find_uri(name, "processed")).to_pyarrow_table()["_offset"].to_pylist() == [1]


def test_copies_of_silver_and_gold_are_deleted_with_their_logs(lake, tmp_path):
    for layer in ("silver", "gold"):
        write_deltalake(lake.find_uri("any", layer), pa.table({"user_id": ["alice"]}))
    append(lake, "plays", {"user_id": "bob", "_offset": 0})
    assert LakeErasure(lake, ALICE).delete_copies() == 4
    assert [path for layer in ("silver", "gold") for path in (tmp_path / layer).rglob("*") if path.is_file()] == []
    assert lake.has_rows("plays")


def test_an_erasure_waits_for_a_writer_whose_files_are_not_committed_yet(lake):
    append(lake, "plays", {"user_id": "alice", "_offset": 0})
    done = []
    with lake.begin_write():
        erasure = threading.Thread(target=lambda: done.append(LakeErasure(lake, ALICE).erase("plays")))
        erasure.start()
        erasure.join(0.5)
        assert erasure.is_alive()
    erasure.join(20)
    assert done == [1]
