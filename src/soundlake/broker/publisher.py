"""Publishing to the event log: encodes events, routes each to its topic, and reports the outcome of every one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from time import monotonic

import numpy as np
import pyarrow as pa
from tenacity import Retrying

from soundlake.broker.protocol import Broker, Clock, Delivery, read_utc_now
from soundlake.broker.publish_report import PublishReport, PublishReportBuilder, Rows, fail_all
from soundlake.contract import EVENT_SCHEMA, LIVE_TOPIC_OF_TYPE, Topic
from soundlake.contract.encode import encode_events
from soundlake.errors import SoundlakeError
from soundlake.retries import retry_policy

Observe = Callable[[PublishReport, float], None]
"""Called with the report of each published table and the seconds it took."""


Encode = Callable[[Topic, pa.Table], list[bytes]]
"""The values of the events of one topic, row by row. A Retryable is retried like an append."""


def ignore_report(_report: PublishReport, _seconds: float) -> None:
    """The default observer: does nothing."""


def encode_plainly(_topic: Topic, events: pa.Table) -> list[bytes]:
    """Plain JSON."""
    return encode_events(events)


class Publisher:
    """Publishes tables of events and raw records to a broker. Not thread-safe."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock = read_utc_now,
        *,
        retry: Retrying | None = None,
        observe: Observe = ignore_report,
        encode: Encode = encode_plainly,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._retry = retry or retry_policy(first_wait_seconds=0.1, longest_wait_seconds=5, stop=7)  # about 3 s, 6 at most
        self._observe = observe
        self._encode = encode

    def publish(self, events: pa.Table, *, topic: Topic | None = None) -> PublishReport:
        """Publish each row to `topic`, or to the live topic of its event_type, keyed by user_id; sets `produced_at`.

        The table has any of the contract's columns (ValueError for another one). Rows that cannot be published count as failed, and so
        do all remaining rows if the log stays unavailable. A record that may be in the log is never sent again.
        """
        begun = monotonic()
        report = self._publish(events, topic)
        self._observe(report, monotonic() - begun)
        return report

    def publish_raw(self, topic: Topic, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Publish records unchanged, valid or not."""
        try:
            return self._append(topic, keys, values)
        except SoundlakeError as error:
            return fail_all(values, _describe(error))

    def _publish(self, events: pa.Table, topic: Topic | None) -> PublishReport:
        report = PublishReportBuilder(len(events))
        chunk_rows = self._broker.preferred_append_records  # encoded chunk by chunk: memory does not grow with the table
        try:
            for start in range(0, len(events), chunk_rows):
                self._publish_chunk(events.slice(start, chunk_rows), start, topic, report)
        except SoundlakeError as error:
            return report.build(reason=_describe(error))
        return report.build()

    def _publish_chunk(self, chunk: pa.Table, start: int, topic: Topic | None, report: PublishReportBuilder) -> None:
        for target, rows in _route(chunk, topic):
            if isinstance(target, str):
                report.record_failure(rows + start, target)
                continue
            part = _stamp(chunk if len(rows) == len(chunk) else chunk.take(pa.array(rows)), self._clock())
            values = self._retry(self._encode, target, part)
            report.record_delivery(rows + start, self._append(target, _read_keys(part), values))

    def _append(self, topic: Topic, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        return self._retry(self._broker.append, topic.name, keys, values)


def _route(events: pa.Table, topic: Topic | None) -> Iterator[tuple[Topic | str, Rows]]:
    """The rows of each topic in order; rows without a topic come with the reason instead."""
    if "event_type" not in events.column_names:
        yield "event_type is missing", np.arange(len(events))
        return
    kinds = events["event_type"].cast(pa.string()).combine_chunks().dictionary_encode(null_encoding="encode")
    codes = kinds.indices.to_numpy()
    codes_of: dict[Topic | str, list[int]] = {}
    for code, kind in enumerate(kinds.dictionary.to_pylist()):
        codes_of.setdefault(_find_target(kind, topic), []).append(code)
    for target, wanted in codes_of.items():
        yield target, np.flatnonzero(np.isin(codes, wanted))


def _find_target(kind: str | None, topic: Topic | None) -> Topic | str:
    if kind is None:
        return "event_type is missing"
    if topic is not None:
        return topic if kind in topic.event_types else f"event_type {kind!r} does not belong on {topic.name}"
    return LIVE_TOPIC_OF_TYPE.get(kind, f"unknown event_type {kind!r}")


def _stamp(events: pa.Table, now: datetime) -> pa.Table:
    """The table with `produced_at` set to `now`."""
    field = EVENT_SCHEMA.field("produced_at")
    stamps = pa.repeat(pa.scalar(now, field.type), len(events))
    index = events.schema.get_field_index("produced_at")
    return events.append_column(field, stamps) if index < 0 else events.set_column(index, field, stamps)


def _read_keys(events: pa.Table) -> list[bytes | None]:
    if "user_id" not in events.column_names:
        return [None] * len(events)
    keys: list[bytes | None] = events["user_id"].cast(pa.binary()).to_pylist()
    return keys


def _describe(error: SoundlakeError) -> str:
    return error.message if error.next_step is None else f"{error.message} ({error.next_step})"
