"""The connection to one cluster: the configuration of its clients, and admin requests with a time limit."""

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
from tenacity import stop_after_delay

from soundlake.broker.kafka.client_log import log, strip_variable_parts
from soundlake.broker.kafka.errors import CONNECTION_REFUSED, CREATE_TOPICS, LeaderUnavailable, translate_error
from soundlake.errors import SettingsError, TopicMissing
from soundlake.retries import retry_policy
from soundlake.settings import KafkaAccess

ANSWER_SECONDS = 10.0
"""How long a broker may take to answer before it counts as unavailable."""

REQUEST_SECONDS = 300.0
"""The timeout of admin requests in librdkafka; we wait `answer_seconds`. It must not expire while an answer may still come: a late
answer ends the process by an assertion (librdkafka issue 4605)."""

_CHECK_SECONDS = 0.1
_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 0.02, 0.1
_REBOOTSTRAP_MS = 2_000
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class TopicState:
    """A topic in the cluster: its id, which changes when it is created again, and its number of partitions."""

    topic_id: str
    partitions: int


class ErrorListener:
    """Receives a client's connection errors: keeps the last one for messages, and those that a retry cannot fix."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._refusal: KafkaError | None = None
        self.is_fatal = False
        self.last_error = ""

    def __call__(self, error: KafkaError) -> None:
        """Called by librdkafka."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # less specific than the error before it
            self.last_error = strip_variable_parts(error.str())
        self.is_fatal |= error.fatal()
        if error.code() in CONNECTION_REFUSED:
            self._refusal = error

    def check(self) -> None:
        """Raise SettingsError if the cluster has refused the connection."""
        if self._refusal is not None:
            error, self._refusal = self._refusal, None
            raise translate_error(error, self._access, "connecting", "")


class Connection:
    """One cluster. Every request raises Unavailable if no answer comes in time, SettingsError if the cluster refuses the client."""

    def __init__(self, access: KafkaAccess, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.access = access
        self.answer_seconds = answer_seconds
        self._listener = ErrorListener(access)
        try:
            self.admin = self._open_admin()
        except (KafkaException, ValueError) as cause:
            raise SettingsError(
                f"Kafka at {access.servers}: invalid settings: {cause}",
                next_step="correct the SOUNDLAKE_KAFKA_… settings; .env.example lists them",
            ) from cause
        self._log_ids: dict[str, str] = {}

    def configure(self, listener: ErrorListener, **own: str | int | bool) -> dict[str, Any]:
        """The configuration of a client: what all clients share, and its own settings (underscores for dots)."""
        return {
            "bootstrap.servers": self.access.servers,
            "client.id": "soundlake",
            "security.protocol": self.access.security_protocol,
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 1_000,
            "socket.timeout.ms": max(int(self.answer_seconds * 1_000), 1_000),
            # A broker paused longer than its session leaves the metadata; librdkafka looks for it only after five minutes by default.
            "metadata.recovery.rebootstrap.trigger.ms": _REBOOTSTRAP_MS,
            "logger": log,
            "error_cb": listener,
            **_configure_security(self.access),
            **{name.replace("_", "."): value for name, value in own.items()},
        }

    @contextmanager
    def translate_errors(self, doing: str, *, topic: str = "") -> Iterator[None]:
        """Raise Kafka's errors as this project's; an unknown topic as TopicMissing."""
        try:
            yield
        except KafkaException as cause:
            error: KafkaError = cause.args[0]
            if topic and error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
                raise TopicMissing(topic, next_step=CREATE_TOPICS) from cause
            if error.code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN):
                self.check_refused()
            raise translate_error(error, self.access, doing, self._listener.last_error) from cause

    def await_answer(self, future: Future[Answer], doing: str, *, topic: str = "") -> Answer:
        """The answer to an admin request."""
        begun = time.monotonic()
        with self.translate_errors(doing, topic=topic):
            while True:
                try:
                    return future.result(timeout=_CHECK_SECONDS)
                except FutureTimeout:
                    self.check_refused()
                    if time.monotonic() - begun > self.answer_seconds:
                        self.admin = self._open_admin()  # the old one may wait minutes for a broker that it no longer knows
                        late = KafkaError(KafkaError._TIMED_OUT, f"no answer in {self.answer_seconds:.0f} s")
                        raise translate_error(late, self.access, doing, self._listener.last_error) from None

    def retry_without_leader(self, request: Callable[[], Answer]) -> Answer:
        """The answer to a request, repeated for `answer_seconds` while no leader takes it."""
        return retry_policy(
            first_wait_seconds=_FIRST_RETRY_SECONDS,
            longest_wait_seconds=_LONGEST_RETRY_SECONDS,
            stop=stop_after_delay(self.answer_seconds),
            on=LeaderUnavailable,
        )(request)

    def check_refused(self) -> None:
        """Raise SettingsError if the cluster has refused the connection."""
        self.admin.poll(0)
        self._listener.check()

    def describe(self, topic: str) -> TopicState:
        """The topic as it is now. Raises TopicMissing if there is none."""
        return self.retry_without_leader(lambda: self._describe(topic))

    def build_log_id(self, topic_id: str) -> str:
        """The log id of a topic: the cluster's id and the topic's."""
        if topic_id not in self._log_ids:
            self._log_ids[topic_id] = f"{_encode_id(self.retry_without_leader(self._read_cluster_id))}.{topic_id}"
        return self._log_ids[topic_id]

    def _open_admin(self) -> AdminClient:
        return AdminClient(self.configure(self._listener))

    def _describe(self, topic: str) -> TopicState:
        (future,) = self.admin.describe_topics(TopicCollection([topic]), request_timeout=REQUEST_SECONDS).values()
        found = self.await_answer(future, f"describing the topic {topic}", topic=topic)
        return TopicState(_encode_id(str(found.topic_id)), len(found.partitions))

    def _read_cluster_id(self) -> str:
        with self.translate_errors("reading the cluster id"):
            return str(self.admin.list_topics(timeout=self.answer_seconds).cluster_id)


def _configure_security(access: KafkaAccess) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if "SASL" in access.security_protocol:
        settings |= {"sasl.mechanism": access.sasl_mechanism, "sasl.username": access.username}
        settings |= {"sasl.password": access.password.get_secret_value()}
    if "SSL" in access.security_protocol:
        settings |= {"ssl.ca.location": access.ca_file or "probe"}  # librdkafka's OpenSSL does not know the system's authorities
    return settings


def _encode_id(uuid: str) -> str:
    """Kafka's own notation of an id: URL-safe base64 without padding."""
    return uuid.replace("+", "-").replace("/", "_").rstrip("=")
