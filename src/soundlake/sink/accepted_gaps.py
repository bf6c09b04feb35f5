"""Accept the loss of records that the log has deleted before they were read, so that their topic goes on behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

import pyarrow.compute as pc

from soundlake.broker.protocol import Broker
from soundlake.contract import REJECTED_TABLE, TOPICS, Topic
from soundlake.errors import UsageError
from soundlake.lake import NO_POSITION, BronzeTables, MissingKind, MissingOffsets, PositionMove, make_position_app_id

_FORM = re.compile(r"(?P<topic>\w+)\[(?P<partition>\d+)\]:(?P<first>\d+)-(?P<last>\d+)")


@dataclass(frozen=True)
class Gap:
    """The offsets of a partition, from `first` up to and with `last`, that the log no longer holds and bronze never got."""

    topic: str
    partition: int
    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `TOPIC[PARTITION]:FROM-TO`. Raises UsageError."""
        found = _FORM.fullmatch(text)
        if found is None or int(found["first"]) > int(found["last"]):
            raise UsageError(f"{text} names no gap", next_step="write it as `soundlake check` does: user_plays[0]:100-349")
        return cls(found["topic"], int(found["partition"]), int(found["first"]), int(found["last"]))

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]:{self.first}-{self.last}"


def accept_gap(broker: Broker, tables: BronzeTables, gap: Gap) -> int:
    """Move the partition's position behind the gap and count it as lost, in one commit; returns the number of lost records.

    Raises UsageError, and changes nothing, unless the gap begins right behind the position and the log begins behind the gap.
    Raises PositionMoved if a sink stores records of the partition meanwhile.
    """
    topic = _find_topic(gap.topic)
    log_id, ranges = broker.log_id(topic.name), broker.offsets(topic.name)
    if gap.partition not in ranges:
        raise UsageError(f"{gap.topic} has no partition {gap.partition}", next_step="`soundlake check` names the gaps")
    app_id, table, begin = (
        make_position_app_id(log_id, topic.name, gap.partition),
        tables.open_table(topic.table),
        ranges[gap.partition].begin,
    )
    position = table.read_position(app_id)
    if position == NO_POSITION or gap.first != position + 1 or gap.last >= begin:
        found = "no gap" if position == NO_POSITION or begin <= position + 1 else f"the gap {position + 1}-{begin - 1}"
        raise UsageError(f"{gap} is not missing: the partition has {found}", next_step="accept only the gap that `soundlake check` names")
    count = gap.last - gap.first + 1 - _count_rejected(tables, log_id, gap)
    rows = table.read(rows_where=pc.scalar(False)).drop_columns("_batch")  # noqa: FBT003  # no row: only the position moves
    table.append(rows, [PositionMove(app_id, position, gap.last, MissingOffsets(MissingKind.LOST, count, gap.first))])
    return count


def _count_rejected(tables: BronzeTables, log_id: str, gap: Gap) -> int:
    """The rows of the gap in bronze/rejected: a sink that was killed between its two commits had read them."""
    within = (pc.field("_offset") >= gap.first) & (pc.field("_offset") <= gap.last) & (pc.field("_partition") == gap.partition)
    of_topic = (pc.field("_broker") == log_id) & (pc.field("_topic") == gap.topic)
    return len(tables.open_table(REJECTED_TABLE).read(["_offset"], within & of_topic))


def _find_topic(name: str) -> Topic:
    for topic in TOPICS:
        if topic.name == name:
            return topic
    raise UsageError(f"{name} is no topic of the sink", next_step="they are " + ", ".join(topic.name for topic in TOPICS))
