"""Offset queries: what each partition holds, and what open transactions hold back."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from soundlake.broker.kafka.connection import Connection, ErrorListener
from soundlake.broker.kafka.errors import LeaderUnavailable
from soundlake.broker.kafka.reader import SETTINGS
from soundlake.broker.protocol import OffsetRange


class OffsetQueries:
    """Reads offsets by a client that sees what a reader sees (committed records), and by one that sees everything."""

    def __init__(self, connection: Connection, listener: ErrorListener) -> None:
        self._connection, self._listener = connection, listener
        self.client = self._open("read_committed")
        self._uncommitted: Consumer | None = None

    def read(self, topic: str, numbers: Sequence[int]) -> dict[int, OffsetRange]:
        """The range of each partition. Raises LeaderUnavailable if a partition has no known leader, then with newer metadata."""
        begins, ends = (self._query(self.client, topic, numbers, edge) for edge in (OFFSET_BEGINNING, OFFSET_END))
        return {number: OffsetRange(begins[number], ends[number]) for number in numbers}

    def read_high_watermarks(self, topic: str, numbers: Sequence[int]) -> dict[int, int]:
        """The end of each partition, records of open transactions included. Raises as `read`."""
        if self._uncommitted is None:
            self._uncommitted = self._open("read_uncommitted")
        return self._query(self._uncommitted, topic, numbers, OFFSET_END)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        if self._uncommitted is not None:
            self._uncommitted.close()

    def _open(self, isolation: str) -> Consumer:
        return Consumer(self._connection.configure(self._listener, **{**SETTINGS, "isolation_level": isolation}))

    def _query(self, client: Consumer, topic: str, numbers: Sequence[int], edge: int) -> dict[int, int]:
        timeout = self._connection.answer_seconds
        try:
            with self._connection.translate_errors(f"reading the offsets of {topic}", topic=topic):
                places = client.offsets_for_times([TopicPartition(topic, number, edge) for number in numbers], timeout)
            self._check_each(topic, places)
        except LeaderUnavailable:
            with self._connection.translate_errors(f"looking for the leaders of {topic}", topic=topic):
                client.list_topics(topic, timeout)  # refreshes the client's metadata
            raise
        return {place.partition: place.offset for place in places}

    def _check_each(self, topic: str, places: Sequence[TopicPartition]) -> None:
        """Raise LeaderUnavailable if the query failed for a partition: its answer is then no offset.

        A partition that was just added is unknown to the client, or to a broker, for a moment.
        """
        for place in places:
            if place.error is not None or place.offset < 0:
                reason = "no answer" if place.error is None else place.error.str()
                raise LeaderUnavailable(
                    f"Kafka at {self._connection.access.servers} has no offsets of {topic}[{place.partition}]: {reason}",
                    next_step="check that the partition has a leader, then run it again",
                ) from (None if place.error is None else KafkaException(place.error))
