"""Topics that no sink can continue: the log no longer holds the next record, ends below the position, or is compacted."""

from __future__ import annotations

from collections.abc import Iterator

from soundlake.broker import Broker
from soundlake.broker.protocol import OffsetRange
from soundlake.contract import TOPICS
from soundlake.errors import DataError, OffsetGap, TopicCompacted
from soundlake.lake import Lake, make_position_app_id, read_next_offset
from soundlake.reconciliation.models import Check


def find_stopped(broker: Broker, lake: Lake) -> Iterator[DataError]:
    """What stops a topic, or a partition of it. A sink may run meanwhile."""
    for topic in TOPICS:
        try:
            broker.check_deletes_by_age(topic.name)
        except TopicCompacted as error:
            yield error
        before = broker.offsets(topic.name)
        table, log_id = lake.open_table(topic.table), broker.log_id(topic.name)
        after = broker.offsets(topic.name)
        for partition in sorted(before.keys() & after.keys()):
            app_id = make_position_app_id(log_id, topic.name, partition)
            expected = read_next_offset(table, app_id, before[partition].begin)
            # a begin from before and an end from after the position: whatever the sink stores and retention deletes meanwhile, it fits
            held = OffsetRange(before[partition].begin, after[partition].end)
            try:
                held.check(topic.name, partition, expected)
            except DataError as error:
                yield error


def check_stopped(broker: Broker, lake: Lake) -> Check:
    """No topic is stopped; the parts name each gap with its records, and anything else that stops a topic as one."""
    parts = dict(map(_describe, find_stopped(broker, lake)))
    return Check("no topic is stopped", 0, sum(parts.values()), parts)


def _describe(error: DataError) -> tuple[str, int]:
    if isinstance(error, OffsetGap):
        return f"{error.gap} missing", error.first_available - error.expected
    return error.message, 1
