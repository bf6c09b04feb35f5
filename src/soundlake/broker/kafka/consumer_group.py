"""A member of a consumer group. The group decides which partitions a member reads; the positions come from the lake alone."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from soundlake.broker.kafka.connection import Connection, ErrorListener
from soundlake.broker.kafka.errors import translate_error
from soundlake.broker.protocol import Assignment
from soundlake.errors import DataError, SoundlakeError, Unavailable
from soundlake.logs import report

log = logging.getLogger(__name__)

SESSION_SECONDS = 10.0
"""A member that sends no heartbeat for so long loses its assignment."""

ASSIGNMENT_SECONDS = 60.0
"""How long a member waits for an assignment before the group counts as unavailable."""

_HANDOVER_SECONDS = 240.0  # how long a rebalance waits for a member that is writing its batch
_CHECK_SECONDS = 0.1
_METADATA_REFRESH_MS = 5_000
_LAST_COMMIT_SECONDS = 1.0
_SELF_FENCE_SECONDS = 30.0  # a fence so soon after the assignment was lost may be the member's own
_FENCED = (KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL)
_REFUSED = (KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.INVALID_SESSION_TIMEOUT, KafkaError.INCONSISTENT_GROUP_PROTOCOL)


class GroupMember:
    """A static member of a group: a new process with the same name takes its place without a rebalance.

    A thread of its own talks to the group. Its consumer is assigned nothing and fetches nothing; the holder of the assignment reads the
    partitions. An assignment is handed over only when its holder has released it, or when the session has expired.
    """

    def __init__(
        self,
        connection: Connection,
        group: str,
        member: str,
        topics: Sequence[str],
        *,
        open_consumer: Callable[..., Consumer] = Consumer,
        assignment_seconds: float = ASSIGNMENT_SECONDS,
    ) -> None:
        self._connection, self._group = connection, group
        self._open_consumer, self._assignment_seconds = open_consumer, assignment_seconds
        self._topics = list(topics)
        self._listener = ErrorListener(connection.access)
        self._changed = threading.Condition()
        self._assignment: Assignment | None = None
        self._is_held = False
        self._is_closing = False
        self._error: SoundlakeError | None = None
        self._uncommitted: dict[tuple[str, int], int] = {}
        self._is_lost, self._lost_at = False, -math.inf
        self._settings: dict[str, str | int | bool] = {
            "group_id": group,
            "group_instance_id": member,
            "session_timeout_ms": int(SESSION_SECONDS * 1_000),
            "heartbeat_interval_ms": int(SESSION_SECONDS * 1_000 / 5),
            "max_poll_interval_ms": int(_HANDOVER_SECONDS * 1_000) + 60_000,
            "partition_assignment_strategy": "roundrobin",  # over all topics: every member gets some as long as there are enough
            "topic_metadata_refresh_interval_ms": _METADATA_REFRESH_MS,  # new topics and partitions are assigned that soon
            "enable_auto_commit": False,
            "enable_auto_offset_store": False,
        }
        self._consumer = self._open()
        self._thread = threading.Thread(target=self._run, name="group", daemon=True)
        self._thread.start()

    @contextmanager
    def hold(self, stop: threading.Event, deadline: float | None = None) -> Iterator[Assignment | None]:
        """Wait for an assignment and hold it for the block; None if `stop` is set or `deadline` (of `time.monotonic`) passes first.

        Raises Unavailable if there is none in `assignment_seconds`, SettingsError if the cluster refuses the client, DataError if another
        process has taken this member's place.
        """
        assignment = self._await_assignment(stop, deadline)
        try:
            yield assignment
        finally:
            with self._changed:
                self._is_held = False
                self._changed.notify_all()

    def commit(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Commit the next offset of each partition asynchronously, for lag monitors; no reader starts from it."""
        with self._changed:
            if not self._is_lost:
                self._uncommitted |= {(topic, partition): offset for partition, offset in offsets.items()}

    def close(self) -> None:
        """Stop. Other members get the partitions when the session expires, unless a process of the same name joins before."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    def _await_assignment(self, stop: threading.Event, deadline: float | None) -> Assignment | None:
        latest = time.monotonic() + self._assignment_seconds
        while not stop.is_set() and (deadline is None or time.monotonic() < deadline):
            self._listener.check()
            with self._changed:
                if self._error is not None:
                    raise self._error
                if self._assignment is not None and not self._assignment.revoked.is_set():
                    self._is_held = True
                    return self._assignment
                self._changed.wait(_CHECK_SECONDS)
            if time.monotonic() > latest:
                reason = f" ({self._listener.last_error})" if self._listener.last_error else ""
                raise Unavailable(
                    f"Kafka at {self._connection.access.servers} has assigned {self._group} no partitions in "
                    f"{self._assignment_seconds:.0f} s{reason}",
                    next_step="check that the broker runs and that no other member of the group hangs",
                )
        return None

    def _open(self) -> Consumer:
        with self._connection.translate_errors(f"joining the group {self._group}"):
            return self._open_consumer(self._connection.configure(self._listener, **self._settings))

    def _subscribe(self) -> None:
        self._consumer.subscribe(self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def _run(self) -> None:
        try:
            self._subscribe()
            while not self._is_closing:
                message = self._consumer.poll(_CHECK_SECONDS)
                if message is not None and (error := message.error()) is not None:
                    self._handle_error(error)
                self._commit()
            self._revoke(wait=False)
            self._consumer.poll(_LAST_COMMIT_SECONDS)  # lets the last commit finish
        except (KafkaException, SoundlakeError) as cause:
            text = f"this sink cannot remain in the group {self._group}: {cause}"
            self._fail(SoundlakeError(text, next_step="start it again; it resumes where bronze ends"))
        finally:
            self._consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._revoke(wait=True)  # an empty assignment is replaced without a call of on_revoke
        consumer.assign([])
        found: dict[str, set[int]] = {topic: set() for topic in self._topics}
        for partition in partitions:
            found.setdefault(partition.topic, set()).add(partition.partition)
        with self._changed:
            self._is_lost = False
            self._assignment = Assignment({topic: frozenset(numbers) for topic, numbers in found.items()})
            self._changed.notify_all()
        report(f"{self._group}: this sink reads {len(partitions)} partitions")

    def _on_revoke(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        self._revoke(wait=True)
        self._commit()
        consumer.unassign()

    def _on_lost(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        log.warning("%s: this sink's session has expired; other sinks may read its partitions", self._group)
        self._revoke(wait=False)
        with self._changed:
            self._is_lost, self._lost_at = True, time.monotonic()
            self._uncommitted.clear()
        consumer.unassign()

    def _revoke(self, *, wait: bool) -> None:
        """Revoke the assignment; with `wait`, return when its holder has released it."""
        with self._changed:
            assignment, self._assignment = self._assignment, None
            if assignment is None:
                return
            assignment.revoked.set()
            if wait:
                self._changed.wait_for(lambda: not self._is_held or self._is_closing, _HANDOVER_SECONDS)

    def _commit(self) -> None:
        with self._changed:
            offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._uncommitted.items()]
            self._uncommitted.clear()
        if offsets:
            try:
                self._consumer.commit(offsets=offsets, asynchronous=True)
            except KafkaException as cause:  # only monitors read them, and the next batch commits newer ones
                log.debug("%s: offsets not committed: %s", self._group, cause)

    def _handle_error(self, error: KafkaError) -> None:
        if error.code() in _FENCED and time.monotonic() - self._lost_at < _SELF_FENCE_SECONDS:
            self._rejoin()
        elif error.code() in _FENCED:
            message = f"another sink has taken this one's place in the group {self._group}: {error.str()}"
            self._fail(DataError(message, next_step="give each sink a home of its own (SOUNDLAKE_HOME)"))
        elif error.code() in _REFUSED:
            self._fail(translate_error(error, self._connection.access, f"joining the group {self._group}", self._listener.last_error))
        else:
            log.debug("%s: %s", self._group, error.str())

    def _rejoin(self) -> None:
        """Join again after a fence that the member may have caused itself.

        A member whose session expired has no member id until it joins again. A commit that was already on its way arrives without the
        id, and Kafka fences the instance name as if another process used it. If another process really has the name, this fences that
        one: one of the two stays.
        """
        log.warning("%s: fenced just after its session expired, most likely by its own commit; this sink joins again", self._group)
        self._revoke(wait=False)
        with self._changed:
            self._is_lost = True
            self._uncommitted.clear()
        self._consumer.close()
        self._consumer = self._open()
        self._subscribe()

    def _fail(self, error: SoundlakeError) -> None:
        """Revoke the assignment, and raise the error in `hold`."""
        with self._changed:
            self._error = error
            if self._assignment is not None:
                self._assignment.revoked.set()
            self._changed.notify_all()
