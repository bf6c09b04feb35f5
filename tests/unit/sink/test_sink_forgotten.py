"""Records of forgotten listeners: in no table, and counted, so that the log still adds up."""

from __future__ import annotations

import json
import uuid

import pytest

from soundlake.broker.memory import MemoryBroker
from soundlake.contract import TOPICS
from soundlake.contract.refused_rows import wrap_refused_row
from soundlake.lake import Lake, Scope
from soundlake.reconciliation.log_vs_bronze import check_log
from soundlake.settings import Address
from soundlake.sink import Sink, SinkLimits


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(Address(f"file://{tmp_path}", "file", path=tmp_path))
    lake.ensure_tables()
    return lake


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create_topics(TOPICS, partitions=2)
    return broker


def make_event(user_id: str, source: str | None = None) -> bytes:
    event = {"event_id": str(uuid.uuid4()), "event_type": "play", "user_id": user_id, "played_at": "2026-11-22T16:00:00Z", "source": source}
    return json.dumps(event).encode()


def publish(broker, *records: tuple[bytes | None, bytes], topic: str = "user_plays") -> None:
    broker.append(topic, [key for key, _ in records], [value for _, value in records])


def drain(broker, lake):
    return Sink(broker, lake, SinkLimits()).run(until_drained=True)


def find_parts(broker, lake, topic: str = "user_plays") -> dict[str, int]:
    checks = {check.name: check for check in check_log(broker, lake)}
    assert all(check.ok for check in checks.values()), checks
    return checks[f"{topic}: log = bronze + rejected"].parts


def test_records_of_a_forgotten_listener_are_dropped_and_counted(broker, lake):
    lake.tombstones.add(["alice"], Scope.EVERYTHING)
    publish(broker, (b"alice", make_event("alice")), (b"bob", make_event("bob")), (b"alice", b"{broken"), (None, b'{"user_id": "alice"}'))
    publish(broker, (None, b"{broken"), (b"alice", make_event("alice")))
    report = drain(broker, lake)
    assert (report.events, report.rejected, report.forgotten) == (1, 1, 4)
    assert find_parts(broker, lake) == {"bronze": 1, "rejected": 1, "records of forgotten listeners": 4}
    assert lake.read("plays", ["user_id"])["user_id"].to_pylist() == ["bob"]
    assert lake.read("rejected", ["key"])["key"].to_pylist() == [None]


def test_a_refused_row_of_a_forgotten_listener_is_dropped(broker, lake):
    lake.tombstones.add(["alice"], Scope.EVERYTHING)
    publish(broker, (b"alice", wrap_refused_row("no_time", "lastfm", "alice", {"name": "alice"})), topic="user_history")
    assert drain(broker, lake).forgotten == 1
    assert find_parts(broker, lake, "user_history") == {"bronze": 0, "rejected": 0, "records of forgotten listeners": 1}


def test_of_a_disconnected_listener_what_came_from_spotifys_api_is_dropped(broker, lake):
    lake.tombstones.add(["alice"], Scope.SPOTIFY_API)
    publish(broker, *((b"alice", make_event("alice", source)) for source in ("spotify_live", "spotify_recent", "spotify_export", None)))
    report = drain(broker, lake)
    assert (report.events, report.forgotten) == (2, 2)
    find_parts(broker, lake)


def test_a_tombstone_holds_from_the_next_batch_on_and_ends_when_it_is_lifted(broker, lake):
    for change in (
        lambda: None,
        lambda: lake.tombstones.add(["alice"], Scope.EVERYTHING),
        lambda: lake.tombstones.lift(["alice"], Scope.EVERYTHING),
    ):
        change()
        publish(broker, (b"alice", make_event("alice")))
        drain(broker, lake)
    assert find_parts(broker, lake) == {"bronze": 2, "rejected": 0, "records of forgotten listeners": 1}
