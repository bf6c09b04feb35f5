"""Requests to a cluster: their time limit, their retries, and what is raised for each answer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import SecretStr
from tests.unit.broker.kafka_fakes import MockConnection

from soundlake.broker.kafka.connection import Connection, ErrorListener, TopicState
from soundlake.errors import SettingsError, TopicMissing, Unavailable
from soundlake.settings import KafkaAccess

NOWHERE = KafkaAccess("127.0.0.1:1")


def answer_with(value=None, error=None, after_seconds=0.0):
    future = Future()
    act = (lambda: future.set_exception(error)) if error else (lambda: future.set_result(value))
    threading.Timer(after_seconds, act).start() if after_seconds else act()
    return future


def test_an_answer_that_comes_in_time_is_returned():
    connection = Connection(NOWHERE, answer_seconds=5)
    assert connection.await_answer(answer_with("here", after_seconds=0.25), "asking") == "here"


def test_an_answer_that_does_not_come_in_time_is_unavailable_and_the_next_request_has_a_new_client():
    connection = Connection(NOWHERE, answer_seconds=0.2)
    admin, begun = connection.admin, time.monotonic()
    with pytest.raises(Unavailable, match="asking: no answer in 0 s"):
        connection.await_answer(Future(), "asking")
    assert 0.2 <= time.monotonic() - begun < 3
    assert connection.admin is not admin


def test_an_unknown_topic_is_named_with_the_command_that_creates_it():
    connection = Connection(NOWHERE)
    unknown = KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    with pytest.raises(TopicMissing, match="user_likes") as caught:
        connection.await_answer(answer_with(error=unknown), "asking", topic="user_likes")
    assert "soundlake topics create" in caught.value.next_step


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN])
def test_a_refused_password_is_the_reason_of_a_request_without_an_answer(code):
    connection = Connection(NOWHERE)
    connection._listener(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
    with pytest.raises(SettingsError, match="wrong password"):
        connection.await_answer(answer_with(error=KafkaException(KafkaError(code))), "asking")


def test_a_refused_password_ends_the_waiting_at_once():
    connection = Connection(NOWHERE, answer_seconds=30)
    connection._listener(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
    with pytest.raises(SettingsError, match="wrong password"):
        connection.await_answer(Future(), "asking")


def test_the_last_connection_error_is_part_of_the_message(mock_cluster):
    connection = Connection(mock_cluster.access)
    connection._listener(KafkaError(KafkaError._TRANSPORT, "b:9092: Connection refused (after 3ms in state CONNECT)"))
    connection._listener(KafkaError(KafkaError._ALL_BROKERS_DOWN, "all down"))
    with pytest.raises(Unavailable, match=r"b:9092: Connection refused\)"):
        connection.await_answer(answer_with(error=KafkaException(KafkaError(KafkaError._TRANSPORT))), "asking")


def test_a_listener_raises_a_refusal_once_and_keeps_fatal_errors():
    listener = ErrorListener(NOWHERE)
    listener.check()
    listener(KafkaError(KafkaError._SSL, "no certificate"))
    with pytest.raises(SettingsError, match="no certificate"):
        listener.check()
    listener.check()
    assert not listener.is_fatal
    listener(KafkaError(KafkaError._FATAL, "", True))
    listener(KafkaError(KafkaError._TRANSPORT))
    assert listener.is_fatal


def test_settings_that_make_no_client_are_named():
    with pytest.raises(SettingsError, match="invalid settings") as caught:
        Connection(KafkaAccess("broker:9092", "CARRIER_PIGEON"))
    assert "SOUNDLAKE_KAFKA_" in caught.value.next_step


def test_every_client_has_the_connection_s_settings_and_its_own():
    connection = Connection(NOWHERE, answer_seconds=7)
    listener = ErrorListener(NOWHERE)
    found = connection.configure(listener, group_id="sinks", enable_auto_commit=False)
    wanted = {
        "bootstrap.servers": "127.0.0.1:1", "security.protocol": "PLAINTEXT", "socket.timeout.ms": 7_000, "error_cb": listener,
        "metadata.recovery.rebootstrap.trigger.ms": 2_000, "reconnect.backoff.ms": 100, "reconnect.backoff.max.ms": 1_000,
        "group.id": "sinks", "enable.auto.commit": False,
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted
    assert not [name for name in found if name.startswith(("sasl", "ssl"))]
    assert Connection(NOWHERE, answer_seconds=0.1).configure(listener)["socket.timeout.ms"] == 1_000


@pytest.mark.parametrize(
    ("protocol", "ca_file", "wanted"),
    [
        ("SASL_PLAINTEXT", None, {"sasl.mechanism": "PLAIN", "sasl.username": "ann", "sasl.password": "secret"}),
        ("SASL_SSL", None, {"sasl.mechanism": "PLAIN", "sasl.username": "ann", "sasl.password": "secret", "ssl.ca.location": "probe"}),
        ("SSL", "/etc/ca.pem", {"ssl.ca.location": "/etc/ca.pem"}),
    ],
)
def test_passwords_and_authorities_are_set_where_the_protocol_has_them(mock_cluster, protocol, ca_file, wanted):
    connection = Connection(mock_cluster.access)
    connection.access = KafkaAccess("broker:9092", protocol, "PLAIN", "ann", SecretStr("secret"), ca_file)
    found = connection.configure(ErrorListener(NOWHERE))
    assert {name: value for name, value in found.items() if name.startswith(("sasl", "ssl"))} == wanted


def test_a_topic_is_described_with_its_id_in_kafka_s_notation():
    connection = Connection(NOWHERE)
    described = SimpleNamespace(topic_id="a+b/c==", partitions=[1, 2, 3])
    connection.admin = SimpleNamespace(describe_topics=lambda _topics, request_timeout: {"user_plays": answer_with(described)})
    assert connection.describe("user_plays") == TopicState("a-b_c", 3)


def test_the_log_id_is_the_cluster_s_and_the_topic_s_and_is_read_once(mock_cluster):
    connection = MockConnection(mock_cluster.access, 5)
    log_id = connection.build_log_id("topic-one")
    cluster, topic = log_id.split(".")
    assert cluster.startswith("mockCluster")
    assert topic == "topic-one"
    connection.admin = None
    assert connection.build_log_id("topic-one") == log_id
