"""Log compared with bronze: what is stored, what waits, and what is missing or doubled."""

from __future__ import annotations

import json
import uuid

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake
from tests.marked_broker import MARKER, MarkedBroker

from soundlake.broker import MemoryBroker
from soundlake.contract import TOPICS
from soundlake.lake import Lake
from soundlake.reconciliation.log_vs_bronze import check_log, count_waiting
from soundlake.settings import Address
from soundlake.sink import Sink, SinkLimits

PLAYS = "user_plays: log = bronze + rejected"


class Deployment:
    """A log in memory with one partition for each topic, and a lake."""

    def __init__(self, folder) -> None:
        self.lake = Lake(Address(f"file://{folder}/lake", "file", path=folder / "lake"))
        self.lake.ensure_tables()
        self.recreate_log()

    def recreate_log(self) -> None:
        self.broker = MemoryBroker()
        self.broker.create_topics(TOPICS, partitions=1)

    def publish(self, valid: int, invalid: int = 0, topic: str = "user_plays") -> None:
        play = {"event_type": "play", "user_id": "ann", "played_at": "2026-01-01T00:00:00Z"}
        values = [json.dumps(play | {"event_id": str(uuid.uuid4())}).encode() for _ in range(valid)] + [b"{"] * invalid
        self.broker.append(topic, [b"ann"] * len(values), values)

    def drain(self) -> None:
        Sink(self.broker, self.lake, SinkLimits()).run(until_drained=True)

    def check(self) -> dict:
        return {check.name: check for check in check_log(self.broker, self.lake)}

    @property
    def failed(self) -> set[str]:
        return {name for name, check in self.check().items() if not check.ok}


@pytest.fixture
def deployment(tmp_path) -> Deployment:
    return Deployment(tmp_path)


def test_an_empty_deployment_is_ok_and_nothing_waits(deployment):
    assert deployment.failed == set()
    assert count_waiting(deployment.broker, deployment.lake) == 0


def test_events_and_rejected_records_add_up_to_the_log(deployment):
    deployment.publish(3, 2)
    deployment.drain()
    found = deployment.check()[PLAYS]
    assert (found.expected, found.found, found.parts) == (5, 5, {"bronze": 3, "rejected": 2})
    assert deployment.failed == set()


def test_records_behind_the_position_wait_and_are_no_mismatch(deployment):
    deployment.publish(3)
    deployment.drain()
    deployment.publish(2, 1)
    deployment.publish(1, topic="user_history")
    assert count_waiting(deployment.broker, deployment.lake) == 4
    assert deployment.failed == set()


def test_records_that_the_log_has_deleted_do_not_wait(deployment):
    deployment.publish(5)
    deployment.broker.trim("user_plays", {0: 3})
    assert count_waiting(deployment.broker, deployment.lake) == 2
    deployment.broker.trim("user_plays", {0: 5})
    assert count_waiting(deployment.broker, deployment.lake) == 0


def test_a_log_that_ends_below_the_position_does_not_count_negative(deployment):
    deployment.publish(5)
    deployment.drain()
    log_id = deployment.broker.log_id("user_plays")
    deployment.recreate_log()
    deployment.broker.log_id = lambda _topic: log_id
    deployment.publish(2)
    deployment.publish(1, topic="user_likes")
    assert count_waiting(deployment.broker, deployment.lake) == 1


@pytest.mark.parametrize("trimmed", [0, 2, 3, 6], ids=["not trimmed", "a record", "in the markers", "all"])
def test_offsets_without_a_record_are_part_of_the_sum(deployment, trimmed):
    deployment.broker = MarkedBroker(deployment.broker)
    deployment.broker.append("user_plays", [b"ann"], [MARKER])
    deployment.publish(1, 1)
    deployment.broker.append("user_plays", [b"ann"] * 2, [MARKER] * 2)
    deployment.publish(1)
    deployment.broker.append("user_plays", [b"ann"], [MARKER])
    deployment.drain()
    deployment.broker.trim("user_plays", {0: trimmed})
    found = deployment.check()[PLAYS]
    assert (found.expected, found.found) == (7, 7)
    assert found.parts == {"bronze": 2, "rejected": 1, "offsets without a record": 4}
    DeltaTable(deployment.lake.find_uri("plays")).delete("_offset = 5")
    assert deployment.failed == {PLAYS}


def test_a_log_that_is_read_from_behind_its_start_is_counted_from_its_first_offset_without_a_record(deployment):
    deployment.broker = MarkedBroker(deployment.broker)
    deployment.broker.append("user_plays", [b"ann"] * 5, [MARKER] * 5)
    deployment.publish(2)
    deployment.broker.trim("user_plays", {0: 3})
    deployment.drain()
    found = deployment.check()[PLAYS]
    assert (found.expected, found.found, found.parts["offsets without a record"]) == (4, 4, 2)


def test_rows_of_a_log_that_is_gone_are_counted_from_the_first_that_is_stored(deployment):
    deployment.publish(3)
    deployment.drain()
    deployment.recreate_log()
    deployment.publish(2)
    deployment.drain()
    found = deployment.check()[PLAYS]
    assert (found.expected, found.found) == (5, 5)


@pytest.mark.parametrize("offset", [0, 2, 4], ids=["first", "middle", "last"])
def test_a_missing_row_is_found(deployment, offset):
    deployment.publish(5)
    deployment.drain()
    DeltaTable(deployment.lake.find_uri("plays")).delete(f"_offset = {offset}")
    found = deployment.check()[PLAYS]
    assert (found.expected, found.found, found.ok) == (5, 4, False)
    assert deployment.failed == {PLAYS}


def test_a_missing_rejected_record_is_found(deployment):
    deployment.publish(1, 2)
    deployment.drain()
    DeltaTable(deployment.lake.find_uri("rejected")).delete("_offset = 2")
    assert deployment.failed == {PLAYS}


def test_a_doubled_row_does_not_hide_a_missing_one(deployment):
    deployment.publish(5)
    deployment.drain()
    table = DeltaTable(deployment.lake.find_uri("plays"))
    doubled = table.to_pyarrow_table().filter(pc.field("_offset") == 0)
    write_deltalake(table, doubled, mode="append")
    table = DeltaTable(deployment.lake.find_uri("plays"))
    table.delete("_offset = 4")
    checks = deployment.check()
    assert deployment.failed == {PLAYS, "no record is stored twice"}
    assert (checks["no record is stored twice"].found, checks["no record is stored twice"].parts) == (1, {"user_plays": 1})
