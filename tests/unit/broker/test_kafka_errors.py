"""Kafka's errors as this project's, and the log of librdkafka."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import SecretStr

from soundlake.broker.kafka.client_log import RepeatFilter
from soundlake.broker.kafka.connection import Connection
from soundlake.broker.kafka.errors import CONNECTION_REFUSED, RECORD_REFUSED, LeaderUnavailable, translate_error
from soundlake.errors import Permanent, SettingsError, Unavailable, UsageError
from soundlake.settings import KafkaAccess, Settings

ACCESS = KafkaAccess("broker:9092", "SASL_SSL", "PLAIN", "ann", SecretStr("secret"))


@pytest.mark.parametrize(
    ("code", "kind", "advice"),
    [
        (KafkaError._AUTHENTICATION, SettingsError, "SOUNDLAKE_KAFKA_PASSWORD"),
        (KafkaError._SSL, SettingsError, "SOUNDLAKE_KAFKA_CA_FILE"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, UsageError, "ACL"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, UsageError, "soundlake topics create"),
        (KafkaError._TRANSPORT, Unavailable, "SASL_SSL"),
        (KafkaError.NOT_LEADER_FOR_PARTITION, Unavailable, "broker runs"),
        (KafkaError.REQUEST_TIMED_OUT, Unavailable, "broker runs"),
        (KafkaError._MSG_TIMED_OUT, Unavailable, "broker runs"),
        (KafkaError._UNSUPPORTED_FEATURE, UsageError, "Kafka 2.8 or newer"),
        (KafkaError.INVALID_CONFIG, Permanent, "log"),
    ],
    ids=[
        "password",
        "authority",
        "not allowed",
        "no topic",
        "connection",
        "no leader",
        "no answer",
        "client",
        "old broker",
        "anything else",
    ],
)
def test_each_error_has_its_class_and_its_next_step(code, kind, advice):
    error = translate_error(KafkaError(code), ACCESS, "reading user_plays", "")
    assert type(error) is (LeaderUnavailable if code == KafkaError.NOT_LEADER_FOR_PARTITION else kind)
    assert advice in error.next_step
    assert "broker:9092" in error.message
    assert "secret" not in str(error)


@pytest.mark.parametrize("code", [KafkaError._DESTROY_BROKER, KafkaError._TIMED_OUT_QUEUE, KafkaError.NOT_LEADER_FOR_PARTITION])
def test_a_request_without_a_leader_is_repeated_until_the_time_of_an_answer(code):
    connection = Connection(KafkaAccess("127.0.0.1:1"), answer_seconds=0.3)
    asked = []

    def answer(failures):
        asked.append(code)
        with connection.translate_errors("asking"):
            if len(asked) <= failures:
                raise KafkaException(KafkaError(code))
        return "here"

    assert connection.retry_without_leader(lambda: answer(2)) == "here"
    assert len(asked) == 3
    with pytest.raises(Unavailable, match="asking"):
        connection.retry_without_leader(lambda: answer(1_000_000))


def test_a_repeated_line_is_logged_once_whichever_client_logs_it():
    lines = [f"FAIL [soundlake#producer-{n}] [thrd:b/{n}]: b: Connection refused (after {n}ms in state CONNECT)" for n in range(3)]
    repeats = RepeatFilter(repeat_seconds=60)
    passed = [line for line in [*lines, "something else"] if repeats.filter(logging.makeLogRecord({"msg": line}))]
    assert passed == [lines[0], "something else"]
    assert RepeatFilter(repeat_seconds=0).filter(logging.makeLogRecord({"msg": lines[0]}))


def test_several_servers_make_one_cluster_and_a_password_in_the_address_is_refused():
    settings = Settings(broker="kafka://one:9092,two:9093", kafka={"password": "secret"})
    assert (settings.broker_address.host, settings.broker_address.port) == ("one", 9092)
    assert settings.kafka_access.servers == "one:9092,two:9093"
    assert "secret" not in repr(settings.kafka_access)
    with pytest.raises(SettingsError, match=r"\*\*\*"):
        assert Settings(broker="kafka://ann:secret@one:9092").broker_address


@pytest.mark.parametrize(("user", "named"), [("ann", "ann"), ("", "this client")])
def test_a_request_that_is_not_allowed_names_the_user(user, named):
    access = KafkaAccess("broker:9092", username=user)
    error = translate_error(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), access, "joining the group sinks", "")
    assert f"does not allow {named} joining the group sinks" in error.message


def test_the_last_connection_error_is_given_as_the_reason():
    error = translate_error(KafkaError(KafkaError._TIMED_OUT, "no answer"), ACCESS, "reading", "b:9092: Connection refused")
    assert "(reading: no answer; b:9092: Connection refused)" in error.message


def test_errors_that_say_nothing_about_a_record_do_not_count_as_a_refusal_of_it():
    assert not RECORD_REFUSED & {KafkaError._MSG_TIMED_OUT, KafkaError._TRANSPORT, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND}
    assert {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART} <= RECORD_REFUSED
    assert {KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED} <= CONNECTION_REFUSED
