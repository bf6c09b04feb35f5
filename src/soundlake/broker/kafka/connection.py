"""The connection to one cluster: how its clients are configured, and questions to it that are answered or say why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from soundlake.broker.kafka.client_log import log, strip_passing
from soundlake.broker.kafka.errors import MAKE_TOPICS, STOPPING, LeaderUnavailable, explain
from soundlake.errors import SettingsError, TopicMissing
from soundlake.settings import KafkaAccess

ANSWER_SECONDS = 10.0
"""How long a broker may take to answer before it counts as unavailable."""

REQUEST_SECONDS = 300.0
"""What librdkafka is told of an administrative request; we wait `answer_seconds`. It must not give up on one that is still on
its way: the late answer ends the process by an assertion (librdkafka issue 4605)."""

_LOOK_SECONDS = 0.1
_AGAIN_SECONDS = 0.02
_REBOOTSTRAP_MS = 2_000
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class TopicState:
    """What the cluster says of a topic: its id, which a topic made anew does not share, and how many partitions it has."""

    topic_id: str
    partitions: int


class ErrorListener:
    """Hears what goes wrong on a client's connections, and remembers the last of it that no waiting mends."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._stopping: KafkaError | None = None
        self.is_broken = False
        self.last_words = ""

    def __call__(self, error: KafkaError) -> None:
        """Take down what a client reports."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # that says less than what came before it
            self.last_words = strip_passing(error.str())
        self.is_broken |= error.fatal()
        if error.code() in STOPPING:
            self._stopping = error

    def check(self) -> None:
        """Raise SettingsError if the connection is refused for what it says of itself."""
        if self._stopping is not None:
            error, self._stopping = self._stopping, None
            raise explain(error, self._access, "connecting", "")


class Connection:
    """One cluster. Every question raises Unavailable if no answer comes in time, SettingsError if we are not let in."""

    def __init__(self, access: KafkaAccess, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.access = access
        self.answer_seconds = answer_seconds
        self._watch = ErrorListener(access)
        try:
            self.admin = self._open()
        except (KafkaException, ValueError) as cause:
            raise SettingsError(
                f"Kafka at {access.servers}: the settings make no client: {cause}",
                next_step="correct the SOUNDLAKE_KAFKA_… settings; .env.example lists them",
            ) from cause
        self._log_ids: dict[str, str] = {}

    def configure(self, watch: ErrorListener, **own: str | int | bool) -> dict[str, Any]:
        """What every client of this cluster is told, and what is its own (dots as underscores)."""
        return {
            "bootstrap.servers": self.access.servers,
            "client.id": "soundlake",
            "security.protocol": self.access.security_protocol,
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 1_000,
            "socket.timeout.ms": max(int(self.answer_seconds * 1_000), 1_000),
            # A broker held longer than its session is gone from the metadata; librdkafka forgets it for five minutes by default.
            "metadata.recovery.rebootstrap.trigger.ms": _REBOOTSTRAP_MS,
            "logger": log,
            "error_cb": watch,
            **_secure(self.access),
            **{name.replace("_", "."): value for name, value in own.items()},
        }

    @contextmanager
    def explained(self, doing: str, *, topic: str = "") -> Iterator[None]:
        """Turn Kafka's errors into ours; where it says that the topic is missing, into the words of every broker."""
        try:
            yield
        except KafkaException as cause:
            error: KafkaError = cause.args[0]
            if topic and error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
                raise TopicMissing(topic, next_step=MAKE_TOPICS) from cause
            if error.code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN):
                self.look()
            raise explain(error, self.access, doing, self._watch.last_words) from cause

    def ask(self, future: Future[Answer], doing: str, *, topic: str = "") -> Answer:
        """The answer to an administrative request."""
        begun = time.monotonic()
        with self.explained(doing, topic=topic):
            while True:
                try:
                    return future.result(timeout=_LOOK_SECONDS)
                except FutureTimeout:
                    self.look()
                    if time.monotonic() - begun > self.answer_seconds:
                        self.admin = self._open()  # one that waits for a broker that it has forgotten may wait for minutes
                        late = KafkaError(KafkaError._TIMED_OUT, f"no answer in {self.answer_seconds:.0f} s")
                        raise explain(late, self.access, doing, self._watch.last_words) from None

    def insist(self, question: Callable[[], Answer]) -> Answer:
        """Put a question again while there is nobody to answer it, for as long as an answer may take."""
        deadline = time.monotonic() + self.answer_seconds
        while True:
            try:
                return question()
            except LeaderUnavailable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_AGAIN_SECONDS)

    def look(self) -> None:
        """Hear what the connections have to say. Raises SettingsError if we are not let in."""
        self.admin.poll(0)
        self._watch.check()

    def _open(self) -> AdminClient:
        return AdminClient(self.configure(self._watch))

    def describe(self, topic: str) -> TopicState:
        """The topic as it is now. Raises TopicMissing if there is none."""
        return self.insist(lambda: self._describe(topic))

    def _describe(self, topic: str) -> TopicState:
        (future,) = self.admin.describe_topics(TopicCollection([topic]), request_timeout=REQUEST_SECONDS).values()
        found = self.ask(future, f"asking for the topic {topic}", topic=topic)
        return TopicState(_spell(str(found.topic_id)), len(found.partitions))

    def name_log(self, topic_id: str) -> str:
        """The id of the log of a topic's id: it holds the cluster's too, for people who read the lake."""
        if topic_id not in self._log_ids:
            self._log_ids[topic_id] = f"{_spell(self.insist(self._ask_cluster))}.{topic_id}"
        return self._log_ids[topic_id]

    def _ask_cluster(self) -> str:
        with self.explained("asking for the cluster"):
            return str(self.admin.list_topics(timeout=self.answer_seconds).cluster_id)


def _secure(access: KafkaAccess) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if "SASL" in access.security_protocol:
        told |= {"sasl.mechanism": access.sasl_mechanism, "sasl.username": access.username}
        told |= {"sasl.password": access.password.get_secret_value()}
    if "SSL" in access.security_protocol:
        told |= {"ssl.ca.location": access.ca_file or "probe"}  # the library brings OpenSSL without the system's authorities
    return told


def _spell(uuid: str) -> str:
    """Kafka's own spelling of an id: base64 for addresses."""
    return uuid.replace("+", "-").replace("/", "_").rstrip("=")
