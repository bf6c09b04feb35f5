"""Delete old records from the embedded log, but never what bronze does not hold yet or what a replay may still search for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from soundlake.broker import Broker, OffsetRange
from soundlake.broker.protocol import to_epoch_ms
from soundlake.contract import TOPICS, Topic
from soundlake.contract.topics import DLQ
from soundlake.errors import TopicMissing
from soundlake.lake import Lake, make_position_app_id
from soundlake.operations.dead_letters.ledger import Ledger

_RECORDS_PER_TRIM = 200_000  # publishers wait while records are deleted


def trim_log(broker: Broker, lake: Lake, keep: timedelta, now: datetime) -> dict[str, int]:
    """Delete records older than `keep`; returns how many of each topic. (Kafka applies its own retention.)

    Of user_events_dlq, which nothing reads, all old records go; of every other topic only those that bronze holds.
    """
    searched, trimmed = _find_searched_offsets(lake), {}
    for topic in (*TOPICS, DLQ):
        try:
            held, log_id = broker.offsets(topic.name), broker.log_id(topic.name)
        except TopicMissing:
            continue
        limits = _find_limits(topic, held, log_id, lake)
        for partition, offset in searched.get((topic.name, log_id), {}).items():
            limits[partition] = min(limits.get(partition, 0), offset)
        trimmed[topic.name] = sum(
            _trim(broker, topic.name, number, OffsetRange(held[number].begin, limits[number]), now - keep) for number in held
        )
    return {name: count for name, count in trimmed.items() if count}


def _find_limits(topic: Topic, held: Mapping[int, OffsetRange], log_id: str, lake: Lake) -> dict[int, int]:
    """The first offset of each partition that must stay, however old."""
    if topic is DLQ:
        return {number: offsets.end for number, offsets in held.items()}
    table = lake.open_table(topic.table)
    return {
        number: min(table.read_position(make_position_app_id(log_id, topic.name, number)) + 1, offsets.end)
        for number, offsets in held.items()
    }


def _find_searched_offsets(lake: Lake) -> dict[tuple[str, str], dict[int, int]]:
    """The offset of each partition from which interrupted replays will be searched for, by topic and log."""
    found: dict[tuple[str, str], dict[int, int]] = {}
    for attempt in Ledger(lake).list_pending():
        offsets = found.setdefault((attempt.target, attempt.target_log), {})
        for number, offset in json.loads(attempt.end_offsets).items():
            offsets[int(number)] = min(offsets.get(int(number), offset), offset)
    return found


def _trim(broker: Broker, topic: str, partition: int, among: OffsetRange, oldest: datetime) -> int:
    """Delete the records of these offsets that are older; returns how many."""
    before = _find_first_since(broker, topic, partition, among, to_epoch_ms(oldest))
    for offset in range(among.begin + _RECORDS_PER_TRIM, before, _RECORDS_PER_TRIM):
        broker.trim(topic, {partition: offset})
    if before > among.begin:
        broker.trim(topic, {partition: before})
    return max(0, before - among.begin)


def _find_first_since(broker: Broker, topic: str, partition: int, among: OffsetRange, since_ms: int) -> int:
    """The first of these offsets whose record is from that time or later, by bisection: timestamps in a log grow, but for clock steps."""
    low, high = among.begin, among.end
    while low < high:
        middle = (low + high) // 2
        found = broker.fetch(topic, partition, middle, max_records=1, max_bytes=1).timestamps_ms
        if len(found) and found[0].as_py() < since_ms:  # none: only erased records follow
            low = middle + 1
        else:
            high = middle
    return low
