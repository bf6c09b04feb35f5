"""Kafka's errors as this project's: what to retry, and what to stop for with the setting or command that fixes it."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaError

from soundlake.errors import Permanent, SettingsError, SoundlakeError, Unavailable, UsageError
from soundlake.settings import KafkaAccess

CREATE_TOPICS = "create it with `soundlake topics create`"

_AUTHENTICATION = {
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.ILLEGAL_SASL_STATE,
}
_AUTHORIZATION = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_TOPIC_MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}
_REQUEST_REFUSED = dict.fromkeys(_TOPIC_MISSING, CREATE_TOPICS) | {
    KafkaError._UNSUPPORTED_FEATURE: "use Kafka 2.8 or newer: its topics have ids (KIP-516)",
}
_LEADER_UNAVAILABLE = {
    KafkaError._UNKNOWN_PARTITION,  # reported by a client whose broker has just restarted
    KafkaError._DESTROY_BROKER,  # the client closed the connection on which the request waited, to bootstrap again
    KafkaError._TIMED_OUT_QUEUE,  # the request was never sent
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}
_TRANSIENT = {
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
}

CONNECTION_REFUSED = _AUTHENTICATION | {KafkaError._SSL}
"""Errors of a connection that a retry cannot fix."""

RECORD_REFUSED = _AUTHORIZATION | _TOPIC_MISSING | {
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.INVALID_REQUIRED_ACKS,
    KafkaError.POLICY_VIOLATION,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
}  # fmt: skip
"""Errors of a record that mean it is not in the log; after any other error it may be."""


class LeaderUnavailable(Unavailable):
    """The broker that was asked no longer leads the partition, or is gone: the request must be sent to the new leader."""


def translate_error(error: KafkaError, access: KafkaAccess, doing: str, last_error: str) -> SoundlakeError:
    """The error to raise instead of Kafka's; `doing` names the request, `last_error` is the last connection error heard."""
    code, server = error.code(), f"Kafka at {access.servers}"
    if code in _AUTHENTICATION:
        user = access.username or "a client without a user name"
        return SettingsError(
            f"{server} refuses {user}: {error.str()}",
            next_step="correct SOUNDLAKE_KAFKA_USERNAME, SOUNDLAKE_KAFKA_PASSWORD and SOUNDLAKE_KAFKA_SASL_MECHANISM",
        )
    if code == KafkaError._SSL:
        return SettingsError(
            f"{server}: no secure connection: {error.str()}",
            next_step="set SOUNDLAKE_KAFKA_CA_FILE to the certificate of the authority that signed the server's, "
            "and SOUNDLAKE_KAFKA_SECURITY_PROTOCOL to the server's protocol",
        )
    if code in _AUTHORIZATION:
        user = access.username or "this client"
        return UsageError(f"{server} does not allow {user} {doing}: {error.str()}", next_step="grant it in Kafka's ACLs")
    if code in _REQUEST_REFUSED:
        return UsageError(f"{server}: {doing}: {error.str()}", next_step=_REQUEST_REFUSED[code])
    if code < 0 or code in _TRANSIENT | _LEADER_UNAVAILABLE or error.retriable():  # below zero: the client's own codes
        reason = f"{error.str()}; {last_error}" if last_error else error.str()
        kind = LeaderUnavailable if code in _LEADER_UNAVAILABLE else Unavailable
        return kind(
            f"{server} does not answer ({doing}: {reason})",
            next_step=f"check that the broker runs and speaks {access.security_protocol} (SOUNDLAKE_KAFKA_SECURITY_PROTOCOL), "
            "then run it again",
        )
    return Permanent(f"{server}: {doing}: {error.str()} ({error.name()})", next_step="see the broker's log")


def build_stalled_error(topic: str, behind: Mapping[int, int], seconds: float) -> Unavailable:
    """The error for records that are in the log, by partition and offset, and are not delivered."""
    positions = ", ".join(f"{topic}[{partition}] offset {offset}" for partition, offset in behind.items())
    return Unavailable(
        f"Kafka has not delivered {positions} in {seconds:.0f} s", next_step="check that the broker is not overloaded, then run it again"
    )
