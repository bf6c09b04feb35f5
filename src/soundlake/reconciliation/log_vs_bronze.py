"""Log against bronze: every record that the lake's position says is stored, is stored once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from soundlake.broker import Broker
from soundlake.contract import REJECTED_TABLE, TOPICS, Topic
from soundlake.lake import NO_POSITION, DeltaBronzeTable, Lake, make_position_app_id
from soundlake.lake.retention import make_deleted_rows_app_id, make_first_deleted_app_id
from soundlake.reconciliation.models import Check

_PLACE = ["_broker", "_topic", "_partition", "_offset"]
_COUNT = """
select _broker, _topic, _partition, count(*) as rows, count(distinct _offset) as offsets, min(_offset) as first, max(_offset) as last
from rows group by all
"""


@dataclass(frozen=True)
class _Stored:
    rows: int
    offsets: int
    first: int
    last: int


Partition = tuple[str, str, int]


def check_log(broker: Broker, lake: Lake) -> list[Check]:
    """A check a topic: offsets up to the position = those in bronze and in bronze/rejected; and one of all: none is there twice."""
    checks, doubled = zip(*(_check_topic(topic, broker, lake) for topic in TOPICS), strict=True)
    parts = {topic.name: count for topic, count in zip(TOPICS, doubled, strict=True) if count}
    return [*checks, Check("no record is stored twice", 0, sum(doubled), parts)]


def count_waiting(broker: Broker, lake: Lake) -> int:
    """Records in the log that no table holds yet."""
    waiting = 0
    for topic in TOPICS:
        table, log_id = lake.open_table(topic.table), broker.log_id(topic.name)
        for partition, held in broker.offsets(topic.name).items():
            waiting += max(0, held.end - 1 - max(table.read_position(make_position_app_id(log_id, topic.name, partition)), held.begin - 1))
    return waiting


def _check_topic(topic: Topic, broker: Broker, lake: Lake) -> tuple[Check, int]:
    """The check, and how many rows stand there once more than they should."""
    log_id = broker.log_id(topic.name)
    begins = {partition: held.begin for partition, held in broker.offsets(topic.name).items()}
    table = lake.open_table(topic.table)
    events = table.read(_PLACE)
    stored, rejected_table = _count(events), lake.open_table(REJECTED_TABLE)
    positions = {
        place: table.read_position(make_position_app_id(*place)) for place in {*stored, *((log_id, topic.name, p) for p in begins)}
    }
    rejected = _read_rejected(lake, topic, positions)
    together = _count(pa.concat_tables([events, rejected]))
    gone = {place: _read_gone(place, table, rejected_table) for place in positions}
    known = {place: [found for found in (together.get(place), gone[place]) if found] for place in positions}
    expected = sum(_count_expected(place, position, begins, known[place], log_id) for place, position in positions.items())
    dropped = sum(found.rows for found in gone.values() if found)
    offsets = sum(found.offsets for found in together.values())
    parts = {"bronze": len(events), "rejected": len(rejected), **({"kept no longer": dropped} if dropped else {})}
    check = Check(f"{topic.name}: log = bronze + rejected", expected, offsets + dropped, parts)
    return check, sum(found.rows - found.offsets for found in together.values())


def _read_gone(place: Partition, *tables: DeltaBronzeTable) -> _Stored | None:
    """What retention has let go of, as the tables remember it."""
    rows = [table.read_position(make_deleted_rows_app_id(*place)) for table in tables]
    firsts = [table.read_position(make_first_deleted_app_id(*place)) for table in tables]
    counts = [count for count in rows if count != NO_POSITION]
    return _Stored(sum(counts), sum(counts), min(one for one in firsts if one != NO_POSITION), NO_POSITION) if counts else None


def _count_expected(place: Partition, position: int, begins: dict[int, int], known: Sequence[_Stored], log_id: str) -> int:
    """Offsets from the first that was ever there up to the position; of a log that is gone, from the first that is or was stored."""
    first = min((one.first for one in known), default=position + 1)
    if place[0] == log_id and begins.get(place[2]) == 0:
        first = 0
    return position + 1 - first


def _read_rejected(lake: Lake, topic: Topic, positions: dict[Partition, int]) -> pa.Table:
    """The topic's rejected records up to the positions; the sink commits them first, so that later ones are not settled yet."""
    rows = lake.read(REJECTED_TABLE, _PLACE)
    limits = pa.table({
        "_broker": [place[0] for place in positions],
        "_topic": [place[1] for place in positions],
        "_partition": pa.array([place[2] for place in positions], pa.int64()),
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
