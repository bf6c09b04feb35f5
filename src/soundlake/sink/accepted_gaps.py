"""Accept the loss of records that the log deleted before they were read, so that their topic continues behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

import pyarrow.compute as pc

from soundlake.broker.protocol import Broker
from soundlake.contract import REJECTED_TABLE, TOPICS, Topic
from soundlake.errors import DataError, UsageError
from soundlake.lake import BronzeTables, MissingKind, MissingOffsets, PositionMove, make_position_app_id, read_next_offset
from soundlake.sink.bronze_rows import EVENT_ROWS

_FORM = re.compile(r"(?P<topic>[a-z_]+)\[(?P<partition>[0-9]{1,9})\]:(?P<first>[0-9]{1,19})-(?P<last>[0-9]{1,19})")
_NEXT_STEP = "`soundlake check` names each gap"


@dataclass(frozen=True)
class Gap:
    """Offsets of a partition, from `first` to `last` inclusive, that the log has deleted and bronze does not have."""

    topic: str
    partition: int
    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `TOPIC[PARTITION]:FROM-TO`. Raises UsageError."""
        found = _FORM.fullmatch(text)
        if found is None or int(found["first"]) > int(found["last"]):
            raise UsageError(f"{text!r} is not a gap", next_step="write TOPIC[PARTITION]:FROM-TO, such as 'user_plays[0]:100-349'")
        return cls(found["topic"], int(found["partition"]), int(found["first"]), int(found["last"]))

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]:{self.first}-{self.last}"


@dataclass(frozen=True)
class AcceptedGap:
    """An accepted gap: the number of lost records, and the gap that remains behind it because the log has deleted more, if any."""

    lost: int
    remaining: Gap | None


def accept_gap(broker: Broker, tables: BronzeTables, gap: Gap) -> AcceptedGap:
    """Move the position of the partition behind the gap and count it as lost, in one commit.

    The gap must begin at the next offset and end below the first one that the log holds. It may end earlier than what is missing: the
    log may have deleted more records since somebody read the message. Raises UsageError for an unknown topic or partition, DataError if
    this is not a gap, PositionMoved if a sink stores records of the partition meanwhile; nothing is changed then.
    """
    topic = _find_topic(gap.topic)
    log_id, ranges = broker.log_id(topic.name), broker.offsets(topic.name)
    if gap.partition not in ranges:
        raise UsageError(f"{topic.name} has no partition {gap.partition}", next_step=f"it has the partitions 0 to {len(ranges) - 1}")
    app_id, table = make_position_app_id(log_id, topic.name, gap.partition), tables.open_table(topic.table)
    position, begin = table.read_position(app_id), ranges[gap.partition].begin
    missing = _find_gap(topic, gap.partition, read_next_offset(table, app_id, begin), begin)
    _check_missing(gap, missing)
    lost = gap.last - gap.first + 1 - _count_rejected(tables, log_id, gap)
    table.append(EVENT_ROWS.empty_table(), [PositionMove(app_id, position, gap.last, (MissingOffsets(MissingKind.LOST, lost, gap.first),))])
    return AcceptedGap(lost, _find_gap(topic, gap.partition, gap.last + 1, begin))


def _find_topic(name: str) -> Topic:
    for topic in TOPICS:
        if topic.name == name:
            return topic
    raise UsageError(f"{name} is not a topic of the sink", next_step="name one of " + ", ".join(topic.name for topic in TOPICS))


def _find_gap(topic: Topic, partition: int, expected: int, begin: int) -> Gap | None:
    """What is missing between the next offset and the first one of the log."""
    return None if begin <= expected else Gap(topic.name, partition, expected, begin - 1)


def _check_missing(gap: Gap, missing: Gap | None) -> None:
    place = f"{gap.topic}[{gap.partition}]"
    if missing is None:
        raise DataError(f"{gap} cannot be accepted: nothing is missing in {place}", next_step=_NEXT_STEP)
    if gap.last > missing.last:
        raise DataError(
            f"{gap} cannot be accepted: the log holds the offsets from {missing.last + 1} on; only {missing} is missing",
            next_step=_NEXT_STEP,
        )
    if gap.first != missing.first:
        raise DataError(f"{gap} cannot be accepted: offset {missing.first} is the next one; {missing} is missing", next_step=_NEXT_STEP)


def _count_rejected(tables: BronzeTables, log_id: str, gap: Gap) -> int:
    """The rows of the gap in bronze/rejected: a sink that was killed between its two commits had read them."""
    within = (pc.field("_offset") >= gap.first) & (pc.field("_offset") <= gap.last) & (pc.field("_partition") == gap.partition)
    of_topic = (pc.field("_broker") == log_id) & (pc.field("_topic") == gap.topic)
    return len(tables.open_table(REJECTED_TABLE).read(["_offset"], within & of_topic))
