"""Records into a topic, idempotently, with the fate of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from soundlake.broker.kafka.connection import Connection, ErrorListener
from soundlake.broker.kafka.errors import REFUSING
from soundlake.broker.protocol import Delivery
from soundlake.broker.validation import MAX_RECORD_BYTES, TOO_LARGE

Record = tuple[bytes, bytes]

_FLUSH_SECONDS = 0.5
_OURSELVES = -1  # librdkafka: the partitioner decides

SETTINGS: dict[str, str | int | bool] = {
    "acks": "all",
    "enable_idempotence": True,
    "compression_type": "lz4",
    "linger_ms": 5,
    "batch_size": 1_000_000,
    "message_max_bytes": MAX_RECORD_BYTES,
    "queue_buffering_max_messages": 500_000,
    "queue_buffering_max_kbytes": 512 * 1024,
    "topic_metadata_propagation_max_ms": 10_000,  # how long a topic that is gone is waited for
    "partitioner": "murmur2_random",  # as Kafka's Java client and the other brokers here reckon it
    # Reports of success are dropped in C: an append hears of failures alone, and all that is flushed without one is in the log.
    "delivery_report_only_error": True,
}


class RecordProducer:
    """The idempotent producer of one process; several threads may append, one at a time does."""

    def __init__(self, connection: Connection, delivery_seconds: float) -> None:
        self._connection = connection
        self._delivery_seconds = delivery_seconds
        self._lock = threading.Lock()
        self._watch = ErrorListener(connection.access)
        self._client: Producer | None = None

    def append(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Send the records and wait until the fate of each is known, or known to be unsure."""
        with self._lock:
            delivery = _Append(self._open(), topic, keys, values, time.monotonic() + self._delivery_seconds).run()
            if delivery.unsure:
                self._client = None
            return delivery

    def close(self) -> None:
        """Let go of the connections; nothing is waiting, every append has waited for its own."""
        self._client = None

    def _open(self) -> Producer:
        """The client, or a new one where the last has met an error that it cannot get over."""
        if self._client is None or self._watch.is_broken:
            self._watch = ErrorListener(self._connection.access)
            timeout_ms = int(self._delivery_seconds * 1_000)
            self._client = Producer(self._connection.configure(self._watch, message_timeout_ms=timeout_ms, **SETTINGS))
        return self._client


class _Append:
    """One append while it is under way."""

    def __init__(self, client: Producer, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None], deadline: float) -> None:
        self._client, self._topic, self._deadline = client, topic, deadline
        self._keys, self._values = keys, values
        self._failed: dict[int, str] = {}
        self._unsure: dict[int, str] = {}
        self._reported: list[tuple[KafkaError, Record]] = []

    def run(self) -> Delivery:
        """Enqueue all, wait for all, and sort out what was reported."""
        self._enqueue()
        self._wait()
        self._match_reports()
        return Delivery(len(self._values), self._failed, self._unsure)

    def _enqueue(self) -> None:
        produce, topic, report = self._client.produce, self._topic, self._report
        for index, (key, value) in enumerate(zip(self._keys, self._values, strict=True)):
            try:
                produce(topic, value, key, _OURSELVES, report)
            except (BufferError, KafkaException) as error:
                self._enqueue_late(index, error)

    def _enqueue_late(self, index: int, error: Exception) -> None:
        """Wait for room in the queue, or take down that the record cannot be sent."""
        while isinstance(error, BufferError) and time.monotonic() < self._deadline:
            self._client.poll(_FLUSH_SECONDS)
            try:
                self._client.produce(self._topic, self._values[index], self._keys[index], _OURSELVES, self._report)
            except (BufferError, KafkaException) as again:
                error = again
            else:
                return
        self._failed[index] = _say_why(error)

    def _report(self, error: KafkaError | None, message: Message) -> None:
        assert error is not None, "success is not reported"
        self._reported.append((error, (message.key() or b"", message.value() or b"")))

    def _wait(self) -> None:
        """Until every record has been reported on: at the latest when librdkafka gives up on it, which the deadline makes sure of."""
        while self._client.flush(_FLUSH_SECONDS) and time.monotonic() < self._deadline:
            pass
        while self._client.flush(_FLUSH_SECONDS):
            self._client.purge()

    def _match_reports(self) -> None:
        """Which rows the reports are about; equal records are told apart by nobody, so any of them will do."""
        if not self._reported:
            return
        rows: dict[Record, list[int]] = {record: [] for _, record in self._reported}
        for index, (key, value) in enumerate(zip(self._keys, self._values, strict=True)):
            if (found := rows.get((key or b"", value or b""))) is not None and index not in self._failed:
                found.append(index)
        for error, record in self._reported:
            (self._failed if error.code() in REFUSING else self._unsure)[rows[record].pop()] = error.str()


def _say_why(error: Exception) -> str:
    if not isinstance(error, KafkaException):
        return "not sent: the queue of the producer stayed full"
    cause: KafkaError = error.args[0]
    return TOO_LARGE if cause.code() == KafkaError.MSG_SIZE_TOO_LARGE else f"not sent: {cause.str()}"
