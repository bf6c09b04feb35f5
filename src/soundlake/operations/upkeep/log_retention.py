"""Let go of what the embedded log has kept long enough: never above what bronze holds, nor what a replay may still look for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from soundlake.broker import Broker, OffsetRange
from soundlake.broker.protocol import to_epoch_ms
from soundlake.contract import TOPICS, Topic
from soundlake.contract.topics import DLQ
from soundlake.errors import TopicMissing
from soundlake.lake import Lake, make_app_id
from soundlake.operations.dead_letters.ledger import Ledger

_RECORDS_AT_ONCE = 200_000  # publishers wait while the file is written to


def trim_log(broker: Broker, lake: Lake, keep: timedelta, now: datetime) -> dict[str, int]:
    """Trim each topic to what came within that time; how many records of each topic went. Kafka does the same by itself.

    Announcements (user_events_dlq) are nobody's to wait for; of every other topic only what bronze holds can go.
    """
    marks, trimmed = _find_marks(lake), {}
    for topic in (*TOPICS, DLQ):
        try:
            held, log_id = broker.offsets(topic.name), broker.log_id(topic.name)
        except TopicMissing:
            continue
        limits = _find_limits(topic, held, log_id, lake)
        for partition, mark in marks.get((topic.name, log_id), {}).items():
            limits[partition] = min(limits.get(partition, 0), mark)
        trimmed[topic.name] = sum(
            _trim(broker, topic.name, number, OffsetRange(held[number].begin, limits[number]), now - keep) for number in held
        )
    return {name: count for name, count in trimmed.items() if count}


def _find_limits(topic: Topic, held: Mapping[int, OffsetRange], log_id: str, lake: Lake) -> dict[int, int]:
    """The first offset of each partition that has to stay, whatever its age."""
    if topic is DLQ:
        return {number: offsets.end for number, offsets in held.items()}
    table = lake.table(topic.table)
    return {number: min(table.position(make_app_id(log_id, topic.name, number)) + 1, offsets.end) for number, offsets in held.items()}


def _find_marks(lake: Lake) -> dict[tuple[str, str], dict[int, int]]:
    """From where replays that were cut short will be looked for, by topic and log."""
    found: dict[tuple[str, str], dict[int, int]] = {}
    for attempt in Ledger(lake).list_open():
        marks = found.setdefault((attempt.target, attempt.target_log), {})
        for number, offset in json.loads(attempt.marks).items():
            marks[int(number)] = min(marks.get(int(number), offset), offset)
    return found


def _trim(broker: Broker, topic: str, partition: int, among: OffsetRange, oldest: datetime) -> int:
    """Trim what came before that moment among these offsets; how many records went."""
    before = _find_first_since(broker, topic, partition, among, to_epoch_ms(oldest))
    for offset in range(among.begin + _RECORDS_AT_ONCE, before, _RECORDS_AT_ONCE):
        broker.trim(topic, {partition: offset})
    if before > among.begin:
        broker.trim(topic, {partition: before})
    return max(0, before - among.begin)


def _find_first_since(broker: Broker, topic: str, partition: int, among: OffsetRange, since_ms: int) -> int:
    """The first of these offsets whose record came then or later, by halves: times in a log grow, but for steps of its clock."""
    low, high = among.begin, among.end
    while low < high:
        middle = (low + high) // 2
        if broker.fetch(topic, partition, middle, max_records=1, max_bytes=1).timestamps_ms[0].as_py() < since_ms:
            low = middle + 1
        else:
            high = middle
    return low
