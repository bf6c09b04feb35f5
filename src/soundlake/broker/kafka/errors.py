"""What Kafka's errors mean to a user, and the right end of each: wait and try again, or stop and say what to change."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaError

from soundlake.errors import Permanent, SettingsError, SoundlakeError, Unavailable, UsageError
from soundlake.settings import KafkaAccess

MAKE_TOPICS = "make it with `soundlake topics create`"

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
_MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}
_NOBODY_THERE = {
    KafkaError._UNKNOWN_PARTITION,  # so says a client whose broker has just come back
    KafkaError._DESTROY_BROKER,  # so a client that gave up the connection on which the question waited, to look for the cluster anew
    KafkaError._TIMED_OUT_QUEUE,  # the question was never sent
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}
_PASSING = {
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

STOPPING = _AUTHENTICATION | {KafkaError._SSL}
"""Errors of a connection that no waiting mends."""

REFUSING = _AUTHORIZATION | _MISSING | {
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
"""Errors of a record by which the broker says that it has not taken it; after any other one it may be in the log."""


class LeaderUnavailable(Unavailable):
    """The one who was asked leads the partition no more, or is gone: the question has to be put again, to whom it now concerns."""


def explain(error: KafkaError, access: KafkaAccess, doing: str, last_words: str) -> SoundlakeError:
    """What an error means, while doing something, and what to do about it; `last_words` is what the connections said last."""
    code, where = error.code(), f"Kafka at {access.servers}"
    if code in _AUTHENTICATION:
        who = access.username or "a client without a name"
        return SettingsError(
            f"{where} does not let {who} in: {error.str()}",
            next_step="correct SOUNDLAKE_KAFKA_USERNAME, SOUNDLAKE_KAFKA_PASSWORD and SOUNDLAKE_KAFKA_SASL_MECHANISM",
        )
    if code == KafkaError._SSL:
        return SettingsError(
            f"{where}: no secure connection: {error.str()}",
            next_step="set SOUNDLAKE_KAFKA_CA_FILE to the file of the authority that signed the server's certificate, "
            "and SOUNDLAKE_KAFKA_SECURITY_PROTOCOL to what the server speaks",
        )
    if code in _AUTHORIZATION:
        return UsageError(f"{where} does not allow {access.username or 'us'} {doing}: {error.str()}", next_step="grant it in Kafka's ACLs")
    if code in _MISSING:
        return UsageError(f"{where}: {doing}: {error.str()}", next_step=MAKE_TOPICS)
    if code < 0 or code in _PASSING | _NOBODY_THERE or error.retriable():  # below zero: the client's own, the connection's state
        reason = f"{error.str()}; {last_words}" if last_words else error.str()
        kind = LeaderUnavailable if code in _NOBODY_THERE else Unavailable
        return kind(
            f"{where} does not answer now ({doing}: {reason})",
            next_step=f"see whether the broker runs, and speaks {access.security_protocol} (SOUNDLAKE_KAFKA_SECURITY_PROTOCOL), then go on",
        )
    return Permanent(f"{where}: {doing}: {error.str()} ({error.name()})", next_step="see the broker's log")


def build_stalled_error(topic: str, behind: Mapping[int, int], seconds: float) -> Unavailable:
    """Records that are in the log, by partition and offset, and do not come."""
    places = ", ".join(f"{topic}[{partition}] offset {offset}" for partition, offset in behind.items())
    return Unavailable(f"Kafka has not handed out {places} in {seconds:.0f} s", next_step="see whether the broker keeps up, then go on")
