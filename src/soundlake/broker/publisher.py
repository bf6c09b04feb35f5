"""The way into the event log: encodes events, finds their topics, and accounts for every one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from time import monotonic

import numpy as np
import pyarrow as pa

from soundlake.broker.account import AccountBook, PublishAccount, Rows, refuse_all
from soundlake.broker.backoff import Backoff
from soundlake.broker.protocol import Broker, Clock, Delivery, read_utc_now
from soundlake.contract import EVENT_SCHEMA, LIVE_TOPIC_OF_TYPE, Topic
from soundlake.contract.encode import encode_events
from soundlake.errors import SoundlakeError

Observe = Callable[[PublishAccount, float], None]
"""Hears the account of each table that was published, and the seconds that it took."""


def ignore_account(_account: PublishAccount, _seconds: float) -> None:
    """For those who do not want to know."""


class Publisher:
    """Publishes tables of events and raw records to a broker; not for several threads."""

    def __init__(
        self, broker: Broker, clock: Clock = read_utc_now, *, backoff: Backoff | None = None, observe: Observe = ignore_account
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._observe = observe

    def publish(self, events: pa.Table, *, topic: Topic | None = None) -> PublishAccount:
        """Publish each row to the topic, or to the live topic of its event_type, keyed by user_id; sets `produced_at`.

        The table has any of the contract's columns (ValueError for another one). Rows that cannot be published, and all that
        are left when the log stays unavailable, stand in the account as failed. Nothing is sent again that may be in the log.
        """
        begun = monotonic()
        account = self._publish(events, topic)
        self._observe(account, monotonic() - begun)
        return account

    def publish_raw(self, topic: Topic, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Publish records as they stand, valid or not; index for index in the Delivery."""
        try:
            return self._append(topic, keys, values)
        except SoundlakeError as error:
            return refuse_all(values, _describe(error))

    def _publish(self, events: pa.Table, topic: Topic | None) -> PublishAccount:
        book, chunk_rows = AccountBook(len(events)), self._broker.records_at_once  # encoded at a time, so that memory is flat
        try:
            for start in range(0, len(events), chunk_rows):
                self._publish_chunk(events.slice(start, chunk_rows), start, topic, book)
        except SoundlakeError as error:
            return book.close(reason=_describe(error))
        return book.close()

    def _publish_chunk(self, chunk: pa.Table, start: int, topic: Topic | None, book: AccountBook) -> None:
        for target, rows in _route(chunk, topic):
            if isinstance(target, str):
                book.record_failure(rows + start, target)
                continue
            part = _stamp(chunk if len(rows) == len(chunk) else chunk.take(pa.array(rows)), self._clock())
            book.record_delivery(rows + start, self._append(target, _read_keys(part), encode_events(part)))

    def _append(self, topic: Topic, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        return self._backoff.call(self._broker.append, topic.name, keys, values)


def _route(events: pa.Table, topic: Topic | None) -> Iterator[tuple[Topic | str, Rows]]:
    """The rows of each topic in their order, and those that have none, with the reason."""
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
    field = EVENT_SCHEMA.field("produced_at")
    stamps = pa.repeat(pa.scalar(now, field.type), len(events))
    place = events.schema.get_field_index("produced_at")
    return events.append_column(field, stamps) if place < 0 else events.set_column(place, field, stamps)


def _read_keys(events: pa.Table) -> list[bytes | None]:
    if "user_id" not in events.column_names:
        return [None] * len(events)
    keys: list[bytes | None] = events["user_id"].cast(pa.binary()).to_pylist()
    return keys


def _describe(error: SoundlakeError) -> str:
    return error.message if error.next_step is None else f"{error.message} ({error.next_step})"
