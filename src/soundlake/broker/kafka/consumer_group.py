"""A place in a consumer group, for what a group is good at: who reads which partitions. Where to begin is the lake's word alone."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from soundlake.broker.kafka.connection import Connection, ErrorListener
from soundlake.broker.kafka.errors import explain
from soundlake.broker.protocol import Assignment
from soundlake.errors import DataError, SoundlakeError, Unavailable
from soundlake.logs import report

log = logging.getLogger(__name__)

SESSION_SECONDS = 10.0
"""A member that has not been heard of for so long has lost its share."""

_HANDOVER_SECONDS = 240.0  # a member that stores for longer than this is not waited for
_SHARE_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_REFRESH_MS = 5_000
_LAST_WORDS_SECONDS = 1.0
_OWN_FENCE_SECONDS = 30.0  # so long after it was lost a member may be fenced by itself
_FENCED = (KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL)
_REFUSED = (KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.INVALID_SESSION_TIMEOUT, KafkaError.INCONSISTENT_GROUP_PROTOCOL)


class GroupMember:
    """One member of a group; a new one of the same name takes over the place of the one before, without a word to the others.

    All talk with the group is on a thread of its own. It assigns itself nothing, so its consumer fetches nothing: the partitions are read
    by who holds the share. The others get a share that is over only when its holder has let go of it, or has not been heard of.
    """

    def __init__(self, connection: Connection, group: str, member: str, topics: Sequence[str]) -> None:
        self._connection, self._group = connection, group
        self._watch = ErrorListener(connection.access)
        self._changed = threading.Condition()
        self._share: Assignment | None = None
        self._is_held = False
        self._is_closing = False
        self._error: SoundlakeError | None = None
        self._reached: dict[tuple[str, int], int] = {}
        self._topics = list(topics)
        self._is_lost, self._lost_at = False, -math.inf
        self._settings: dict[str, str | int | bool] = {
            "group_id": group,
            "group_instance_id": member,
            "session_timeout_ms": int(SESSION_SECONDS * 1_000),
            "heartbeat_interval_ms": int(SESSION_SECONDS * 1_000 / 5),
            "max_poll_interval_ms": int(_HANDOVER_SECONDS * 1_000) + 60_000,
            "partition_assignment_strategy": "roundrobin",  # by topic and partition: all members get some as long as there are enough
            "topic_metadata_refresh_interval_ms": _REFRESH_MS,  # so soon a new topic or partition is handed out
            "enable_auto_commit": False,
            "enable_auto_offset_store": False,
        }
        self._consumer = self._open()
        self._thread = threading.Thread(target=self._take_part, name="group", daemon=True)
        self._thread.start()

    @contextmanager
    def hold(self, stop: threading.Event, deadline: float | None = None) -> Iterator[Assignment | None]:
        """The share, as long as the block lasts; None if `stop` is set, or the deadline (of `time.monotonic`) is over, before there is one.

        Raises Unavailable if none comes in a minute, SettingsError if we are not let in, DataError if another took this place.
        """
        share = self._await_share(stop, deadline)
        try:
            yield share
        finally:
            with self._changed:
                self._is_held = False
                self._changed.notify_all()

    def commit(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Remember the next offset of each partition for lag monitors, a moment later; nobody starts from it."""
        with self._changed:
            if not self._is_lost:
                self._reached |= {(topic, partition): offset for partition, offset in offsets.items()}

    def close(self) -> None:
        """Leave; the others get the share when the session is over, unless the place is taken again before."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    def _await_share(self, stop: threading.Event, deadline: float | None) -> Assignment | None:
        latest = time.monotonic() + _SHARE_SECONDS
        while not stop.is_set() and (deadline is None or time.monotonic() < deadline):
            self._watch.check()
            with self._changed:
                if self._error is not None:
                    raise self._error
                if self._share is not None and not self._share.revoked.is_set():
                    self._is_held = True
                    return self._share
                self._changed.wait(_LOOK_SECONDS)
            if time.monotonic() > latest:
                said = f" ({self._watch.last_words})" if self._watch.last_words else ""
                raise Unavailable(
                    f"Kafka at {self._connection.access.servers} gives {self._group} no partitions, {_SHARE_SECONDS:.0f} s long{said}",
                    next_step="see that the broker runs and that no other member of the group hangs",
                )
        return None

    def _open(self) -> Consumer:
        with self._connection.explained(f"joining the group {self._group}"):
            return Consumer(self._connection.configure(self._watch, **self._settings))

    def _subscribe(self) -> None:
        self._consumer.subscribe(self._topics, on_assign=self._begin, on_revoke=self._hand_over, on_lost=self._lose)

    def _take_part(self) -> None:
        try:
            self._subscribe()
            while not self._is_closing:
                message = self._consumer.poll(_LOOK_SECONDS)
                if message is not None and (error := message.error()) is not None:
                    self._hear(error)
                self._commit()
            self._end(wait=False)
            self._consumer.poll(_LAST_WORDS_SECONDS)  # what has just been committed is on its way
        except (KafkaException, SoundlakeError) as cause:
            said = f"this sink can take part in the group {self._group} no more: {cause}"
            self._fail(SoundlakeError(said, next_step="start it again: it goes on where bronze ends"))
        finally:
            self._consumer.close()

    def _begin(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._end(wait=True)  # a share of nothing is not taken back before it changes
        consumer.assign([])
        found: dict[str, set[int]] = {topic: set() for topic in self._topics}
        for place in partitions:
            found.setdefault(place.topic, set()).add(place.partition)
        with self._changed:
            self._is_lost = False
            self._share = Assignment({topic: frozenset(numbers) for topic, numbers in found.items()})
            self._changed.notify_all()
        report(f"{self._group}: this sink reads {len(partitions)} partitions")

    def _hand_over(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        self._end(wait=True)
        self._commit()
        consumer.unassign()

    def _lose(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        log.warning("%s: this sink was not heard of for too long, others may read its partitions by now", self._group)
        self._end(wait=False)
        with self._changed:
            self._is_lost, self._lost_at = True, time.monotonic()
            self._reached.clear()
        consumer.unassign()

    def _end(self, *, wait: bool) -> None:
        """The share is over; wait until nobody holds it."""
        with self._changed:
            share, self._share = self._share, None
            if share is None:
                return
            share.revoked.set()
            if wait:
                self._changed.wait_for(lambda: not self._is_held or self._is_closing, _HANDOVER_SECONDS)

    def _commit(self) -> None:
        with self._changed:
            places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._reached.items()]
            self._reached.clear()
        if places:
            try:
                self._consumer.commit(offsets=places, asynchronous=True)
            except KafkaException as cause:  # it is for monitors alone, and the next batch brings newer ones
                log.debug("%s: offsets not noted: %s", self._group, cause)

    def _hear(self, error: KafkaError) -> None:
        if error.code() in _FENCED and time.monotonic() - self._lost_at < _OWN_FENCE_SECONDS:
            self._rejoin()
        elif error.code() in _FENCED:
            said = f"another sink took this one's place in the group {self._group}: {error.str()}"
            self._fail(DataError(said, next_step="sinks beside each other need homes of their own (SOUNDLAKE_HOME)"))
        elif error.code() in _REFUSED:
            self._fail(explain(error, self._connection.access, f"joining the group {self._group}", self._watch.last_words))
        else:
            log.debug("%s: %s", self._group, error.str())

    def _rejoin(self) -> None:
        """Take the place anew, after a fence that may be our own.

        A member that was lost has no id until it is let in again. An offset on its way since before then arrives without one, beside the
        name, and Kafka takes it for a stranger's. If it was a stranger who took the place, this makes him give way: one of two stays.
        """
        log.warning("%s: fenced just after it was lost, most likely by itself; this sink joins anew", self._group)
        self._end(wait=False)
        with self._changed:
            self._is_lost = True
            self._reached.clear()
        self._consumer.close()
        self._consumer = self._open()
        self._subscribe()

    def _fail(self, error: SoundlakeError) -> None:
        """Whoever holds the share, or asks for one, hears of it."""
        with self._changed:
            self._error = error
            if self._share is not None:
                self._share.revoked.set()
            self._changed.notify_all()
