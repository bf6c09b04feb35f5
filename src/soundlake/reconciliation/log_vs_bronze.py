"""Compare log and bronze: every record up to a table's position is stored, and stored once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from soundlake.broker import Broker
from soundlake.contract import REJECTED_TABLE, TOPICS, Topic
from soundlake.lake import NO_POSITION, BronzeTable, Lake, MissingKind, make_missing_app_ids, make_position_app_id
from soundlake.lake.deleted_rows import DeletedBy, make_deleted_rows_app_id, make_first_deleted_app_id
from soundlake.reconciliation.models import Check

_COORDINATES = ["_broker", "_topic", "_partition", "_offset"]
_COUNT = """
select _broker, _topic, _partition, count(*) as rows, count(distinct _offset) as offsets, min(_offset) as first, max(_offset) as last
from rows group by all
"""

_PART_OF_KIND = {
    MissingKind.EMPTY: "offsets without a record",
    MissingKind.LOST: "accepted as lost",
    MissingKind.FORGOTTEN: "records of forgotten listeners",
}
_PART_OF_DELETION = {DeletedBy.RETENTION: "past retention", DeletedBy.ERASURE: "erased"}

Partition = tuple[str, str, int]
"""Id of the log, topic, partition."""


@dataclass(frozen=True)
class _Stored:
    """What is stored of a partition: rows, distinct offsets, first and last offset."""

    rows: int
    offsets: int
    first: int
    last: int


def check_log(broker: Broker, lake: Lake) -> list[Check]:
    """For each topic: offsets up to the position = rows in bronze and in bronze/rejected, and offsets without a record.

    For all together: no record is stored twice.
    """
    checks, repeats = zip(*(_check_topic(topic, broker, lake) for topic in TOPICS), strict=True)
    parts = {topic.name: count for topic, count in zip(TOPICS, repeats, strict=True) if count}
    return [*checks, Check("no record is stored twice", 0, sum(repeats), parts)]


def count_waiting(broker: Broker, lake: Lake) -> int:
    """The number of records in the log that no table holds yet.

    What the log has deleted does not wait; neither does anything in a log that ends below the position, as a restored old copy does.
    """
    waiting = 0
    for topic in TOPICS:
        table, log_id = lake.open_table(topic.table), broker.log_id(topic.name)
        for partition, held in broker.offsets(topic.name).items():
            stored = table.read_position(make_position_app_id(log_id, topic.name, partition))
            waiting += max(0, held.end - max(stored + 1, held.begin))
    return waiting


def _check_topic(topic: Topic, broker: Broker, lake: Lake) -> tuple[Check, int]:
    """The check, and the number of rows that repeat a record."""
    log_id = broker.log_id(topic.name)
    begins = {number: held.begin for number, held in broker.offsets(topic.name).items()}
    table, rejected_table = lake.open_table(topic.table), lake.open_table(REJECTED_TABLE)
    events = table.read(_COORDINATES)
    partitions: set[Partition] = {*_count(events), *((log_id, topic.name, number) for number in begins)}
    positions = {partition: table.read_position(make_position_app_id(*partition)) for partition in partitions}
    rejected = _read_rejected(lake, topic, positions)
    stored = _count(pa.concat_tables([events, rejected]))
    deleted = {by: {partition: _read_deleted(partition, by, table, rejected_table) for partition in partitions} for by in DeletedBy}
    missing = {kind: {partition: _read_missing(partition, kind, table) for partition in partitions} for kind in MissingKind}
    expected = 0
    for partition, position in positions.items():
        found_of = [stored.get(partition), *(found[partition] for found in (*deleted.values(), *missing.values()))]
        known = [found for found in found_of if found]
        begin = begins.get(partition[2]) if partition[0] == log_id else None
        expected += _count_expected(position, begin, known)
    absent = {_PART_OF_DELETION[by]: _sum_offsets(found) for by, found in deleted.items()}
    absent |= {_PART_OF_KIND[kind]: _sum_offsets(found) for kind, found in missing.items()}
    offsets = sum(found.offsets for found in stored.values())
    parts = {"bronze": len(events), "rejected": len(rejected)} | {name: count for name, count in absent.items() if count}
    check = Check(f"{topic.name}: log = bronze + rejected", expected, offsets + sum(absent.values()), parts)
    return check, sum(found.rows - found.offsets for found in stored.values())


def _read_deleted(partition: Partition, by: DeletedBy, *tables: BronzeTable) -> _Stored | None:
    """What retention or an erasure has deleted, as the tables record it."""
    rows = [table.read_position(make_deleted_rows_app_id(*partition, by)) for table in tables]
    firsts = [table.read_position(make_first_deleted_app_id(*partition, by)) for table in tables]
    counts = [count for count in rows if count != NO_POSITION]
    return _Stored(sum(counts), sum(counts), min(first for first in firsts if first != NO_POSITION), NO_POSITION) if counts else None


def _read_missing(partition: Partition, kind: MissingKind, table: BronzeTable) -> _Stored | None:
    """The offsets that no row stands for, as the table records them."""
    count, first = map(table.read_position, make_missing_app_ids(make_position_app_id(*partition), kind))
    return None if count == NO_POSITION else _Stored(count, count, first, NO_POSITION)


def _sum_offsets(found: Mapping[Partition, _Stored | None]) -> int:
    return sum(counted.offsets for counted in found.values() if counted)


def _count_expected(position: int, begin: int | None, known: Sequence[_Stored]) -> int:
    """Offsets from the first one up to the position.

    The first one is 0 if the log still begins there (`begin`; None: the log is gone), else the first that is or was stored or passed over.
    """
    first = 0 if begin == 0 else min((found.first for found in known), default=position + 1)
    return position + 1 - first


def _read_rejected(lake: Lake, topic: Topic, positions: dict[Partition, int]) -> pa.Table:
    """The topic's rejected records up to the positions. The sink commits them before the events, so later ones are not final yet."""
    rows = lake.read(REJECTED_TABLE, _COORDINATES)
    limits = pa.table({
        "_broker": [log_id for log_id, _, _ in positions],
        "_topic": [name for _, name, _ in positions],
        "_partition": pa.array([number for _, _, number in positions], pa.int64()),
        "position": pa.array(positions.values(), pa.int64()),
    })  # fmt: skip
    with duckdb.connect() as db:
        db.register("rows", rows)
        db.register("limits", limits)
        return db.execute(
            "select rows.* from rows join limits using (_broker, _topic, _partition) where _topic = ? and _offset <= position", [topic.name]
        ).to_arrow_table()


def _count(rows: pa.Table) -> dict[Partition, _Stored]:
    with duckdb.connect() as db:
        db.register("rows", rows)
        return {(broker, topic, partition): _Stored(*counts) for broker, topic, partition, *counts in db.execute(_COUNT).fetchall()}
