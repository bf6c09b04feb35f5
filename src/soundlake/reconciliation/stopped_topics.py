"""Topics that no sink can continue: the log lacks the next record, ends below the position, or is compacted."""

from __future__ import annotations

from collections.abc import Iterator

from soundlake.broker import Broker
from soundlake.contract import TOPICS
from soundlake.errors import DataError, OffsetGap, TopicCompacted
from soundlake.lake import NO_POSITION, Lake, make_position_app_id
from soundlake.reconciliation.models import Check


def find_stopped(broker: Broker, lake: Lake) -> Iterator[DataError]:
    """What stops a topic, or a partition of it."""
    for topic in TOPICS:
        try:
            broker.check_deletes_by_age(topic.name)
        except TopicCompacted as error:
            yield error
        table, log_id = lake.open_table(topic.table), broker.log_id(topic.name)
        for partition, held in broker.offsets(topic.name).items():
            position = table.read_position(make_position_app_id(log_id, topic.name, partition))
            if position == NO_POSITION:
                continue
            try:
                held.check(topic.name, partition, position + 1)
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
