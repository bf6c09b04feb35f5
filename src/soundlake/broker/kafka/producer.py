"""The idempotent producer, with the outcome of each record."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from soundlake.broker.kafka.connection import Connection, ErrorListener
from soundlake.broker.kafka.errors import RECORD_REFUSED
from soundlake.broker.protocol import Delivery
from soundlake.broker.validation import MAX_RECORD_BYTES, TOO_LARGE

Record = tuple[bytes, bytes]

_FLUSH_SECONDS = 0.5
_BY_PARTITIONER = -1  # RD_KAFKA_PARTITION_UA

SETTINGS: dict[str, str | int | bool] = {
    "acks": "all",
    "enable_idempotence": True,
    "compression_type": "lz4",
    "linger_ms": 5,
    "batch_size": 1_000_000,
    "message_max_bytes": MAX_RECORD_BYTES,
    "queue_buffering_max_messages": 500_000,
    "queue_buffering_max_kbytes": 512 * 1024,
    "topic_metadata_propagation_max_ms": 10_000,  # how long records wait for a topic that was deleted
    "partitioner": "murmur2_random",  # as Kafka's Java client and the other brokers here
    # librdkafka drops reports of success in C; only failures reach Python, and a record without one is in the log after a flush.
    "delivery_report_only_error": True,
}


class RecordProducer:
    """The producer of one process. Threads may share it; their appends run one at a time."""

    def __init__(self, connection: Connection, delivery_seconds: float) -> None:
        self._connection = connection
        self._delivery_seconds = delivery_seconds
        self._lock = threading.Lock()
        self._listener = ErrorListener(connection.access)
        self._client: Producer | None = None

    def append(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Send the records and wait until each is acknowledged, failed, or unsure."""
        with self._lock:
            delivery = _Append(self._open(), topic, keys, values, time.monotonic() + self._delivery_seconds).run()
            if delivery.unsure:
                self._client = None
            return delivery

    def close(self) -> None:
        """Close the connections; no record is waiting, since every append waits for its own."""
        self._client = None

    def _open(self) -> Producer:
        """The client; a new one after a fatal error."""
        if self._client is None or self._listener.is_fatal:
            self._listener = ErrorListener(self._connection.access)
            timeout_ms = int(self._delivery_seconds * 1_000)
            self._client = Producer(self._connection.configure(self._listener, message_timeout_ms=timeout_ms, **SETTINGS))
        return self._client


class _Append:
    """One running append."""

    def __init__(self, client: Producer, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None], deadline: float) -> None:
        self._client, self._topic, self._deadline = client, topic, deadline
        self._keys, self._values = keys, values
        self._failed: dict[int, str] = {}
        self._unsure: dict[int, str] = {}
        self._reported: list[tuple[KafkaError, Record]] = []

    def run(self) -> Delivery:
        """Queue all records, wait for all, and assign the reported errors to them."""
        self._enqueue()
        self._wait()
        self._match_reports()
        return Delivery(len(self._values), self._failed, self._unsure)

    def _enqueue(self) -> None:
        produce, topic, report = self._client.produce, self._topic, self._report
        for index, (key, value) in enumerate(zip(self._keys, self._values, strict=True)):
            try:
                produce(topic, value, key, _BY_PARTITIONER, report)
            except (BufferError, KafkaException) as error:
                self._enqueue_again(index, error)

    def _enqueue_again(self, index: int, error: Exception) -> None:
        """Wait for space in the queue until the deadline; the record fails if it cannot be queued."""
        while isinstance(error, BufferError) and time.monotonic() < self._deadline:
            self._client.poll(_FLUSH_SECONDS)
            try:
                self._client.produce(self._topic, self._values[index], self._keys[index], _BY_PARTITIONER, self._report)
            except (BufferError, KafkaException) as next_error:
                error = next_error
            else:
                return
        self._failed[index] = _describe(error)

    def _report(self, error: KafkaError | None, message: Message) -> None:
        assert error is not None, "success is not reported"
        self._reported.append((error, (message.key() or b"", message.value() or b"")))

    def _wait(self) -> None:
        """Return when every record is acknowledged or reported; after the deadline those still queued are purged, which reports them."""
        while self._client.flush(_FLUSH_SECONDS) and time.monotonic() < self._deadline:
            pass
        while self._client.flush(_FLUSH_SECONDS):
            self._client.purge()

    def _match_reports(self) -> None:
        """Assign each reported error to a record of the same key and value; which of several equal ones does not matter."""
        if not self._reported:
            return
        rows: dict[Record, list[int]] = {record: [] for _, record in self._reported}
        for index, (key, value) in enumerate(zip(self._keys, self._values, strict=True)):
            if (found := rows.get((key or b"", value or b""))) is not None and index not in self._failed:
                found.append(index)
        for error, record in self._reported:
            (self._failed if error.code() in RECORD_REFUSED else self._unsure)[rows[record].pop()] = error.str()


def _describe(error: Exception) -> str:
    if not isinstance(error, KafkaException):
        return "not sent: the producer's queue stayed full"
    cause: KafkaError = error.args[0]
    return TOO_LARGE if cause.code() == KafkaError.MSG_SIZE_TOO_LARGE else f"not sent: {cause.str()}"
