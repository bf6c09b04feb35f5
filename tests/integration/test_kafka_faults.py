"""Failures of a real Kafka broker: each ends in the right error with a clear message, or in a retry that loses nothing."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pydantic import SecretStr
from tests.integration.kafka_cases import (
    RunningSink,
    delete_topics,
    make_plays,
    open_kafka,
    open_lake,
    read_ids,
    stored_ids,
    wait_until,
)
from tests.integration.kafka_producers import configure_topic
from tests.java_start import list_java_options
from tests.server_process import ServerProcess
from tests.servers import KAFKA_PASSWORD, KAFKA_USER

from soundlake.broker.kafka import TopicPlan
from soundlake.contract.topics import PLAYS, SKIPS
from soundlake.errors import OffsetGap, SettingsError, TopicMissing, Unavailable
from soundlake.operations.servers import KafkaServer, find_free_block
from soundlake.settings import KafkaAccess, Settings
from soundlake.sink import Sink, SinkLimits

FOREVER = {"max_records": 1_000_000, "max_bytes": 1 << 30}


def count_records(broker) -> int:
    return sum(len(held) for held in broker.offsets(PLAYS.name).values())


def test_a_wrong_password_stops_at_once_and_names_the_setting(kafka_server, access):
    wrong = KafkaAccess(kafka_server.server.sasl_address, "SASL_PLAINTEXT", "PLAIN", KAFKA_USER, SecretStr("wrong"))
    with open_kafka(wrong) as broker:
        begun = time.monotonic()
        with pytest.raises(SettingsError, match="refuses soundlake") as caught:
            broker.log_id(PLAYS.name)
        assert time.monotonic() - begun < 8
        assert "SOUNDLAKE_KAFKA_PASSWORD" in caught.value.next_step
        assert "wrong" not in str(caught.value)
    right = KafkaAccess(kafka_server.server.sasl_address, "SASL_PLAINTEXT", "PLAIN", KAFKA_USER, SecretStr(KAFKA_PASSWORD))
    with open_kafka(right) as broker:
        broker.create_topics([PLAYS], partitions=1)
        assert broker.append(PLAYS.name, [b"ann"], [b"{}"]).acknowledged == 1
        assert broker.fetch(PLAYS.name, 0, 0, **FOREVER).values.to_pylist() == [b"{}"]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1: the broker's key store, and the authority file of its clients."""
    store, authority = folder / "broker.p12", folder / "authority.pem"
    store_options = ["-storetype", "PKCS12", "-keystore", str(store), "-storepass", KAFKA_PASSWORD, "-alias", "broker"]
    key_options = ["-keyalg", "RSA", "-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1", "-ext", "BC=ca:true"]
    subprocess.run(["keytool", "-genkeypair", *store_options, *key_options], check=True, capture_output=True)
    subprocess.run(["keytool", "-exportcert", "-rfc", *store_options, "-file", str(authority)], check=True, capture_output=True)
    return store, authority


def serve_tls(folder: Path, jars: Path, store: Path) -> KafkaServer:
    """A broker with a listener for TLS and a password, as Confluent Cloud has it, on `port` + 2."""
    port = find_free_block()
    names = f"BROKER://127.0.0.1:{port},CLOUD://127.0.0.1:{port + 2}"
    properties = {
        "listeners": f"{names},CONTROLLER://127.0.0.1:{port + 1}",
        "advertised.listeners": names,
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,CLOUD:SASL_SSL",
        "listener.name.cloud.ssl.keystore.location": str(store),
        "listener.name.cloud.ssl.keystore.password": KAFKA_PASSWORD,
        "listener.name.cloud.ssl.keystore.type": "PKCS12",
        "listener.name.cloud.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.cloud.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'user_{KAFKA_USER}="{KAFKA_PASSWORD}";',
    }
    return KafkaServer(folder / "kafka", port, jars, properties=properties, java_options=list_java_options(jars))


def test_a_cluster_with_tls_and_a_password_is_reached_by_settings_and_an_unknown_authority_is_named(kafka_jars, tmp_path):
    store, authority = make_certificate(tmp_path)
    server = serve_tls(tmp_path, kafka_jars, store)
    address = f"kafka://127.0.0.1:{server.port + 2}"
    access = {"security_protocol": "SASL_SSL", "username": KAFKA_USER, "password": KAFKA_PASSWORD}
    with ServerProcess(server, tmp_path):
        with open_kafka(Settings(broker=address, kafka={**access, "ca_file": str(authority)}).kafka_access) as broker:
            broker.create_topics([PLAYS], partitions=1)
            assert broker.append(PLAYS.name, [b"ann"], [b"{}"]).acknowledged == 1
            assert broker.fetch(PLAYS.name, 0, 0, **FOREVER).values.to_pylist() == [b"{}"]
        for wrong, setting in (({}, "SOUNDLAKE_KAFKA_CA_FILE"), ({"ca_file": str(authority), "password": "no"}, "KAFKA_PASSWORD")):
            with open_kafka(Settings(broker=address, kafka=access | wrong).kafka_access) as broker, pytest.raises(SettingsError) as caught:
                broker.log_id(PLAYS.name)
            assert setting in caught.value.next_step
        with open_kafka(Settings(broker=address).kafka_access, answer_seconds=3.0) as broker, pytest.raises(Unavailable) as lost:
            broker.log_id(PLAYS.name)
        assert "SOUNDLAKE_KAFKA_SECURITY_PROTOCOL" in lost.value.next_step


def test_a_broker_that_is_down_is_unavailable_and_a_repeated_append_is_stored_once(kafka_server, broker, caplog):
    broker.append(PLAYS.name, [b"ann"], [b"before"])
    kafka_server.kill()
    try:
        broker._partition_counts.clear()  # as after five seconds
        with pytest.raises(Unavailable, match="Connection refused"):
            broker.append(PLAYS.name, [b"ann"], [b"after"])
        with pytest.raises(Unavailable):
            broker.offsets(PLAYS.name)
    finally:
        kafka_server.start()
    assert broker.append(PLAYS.name, [b"ann"], [b"after"]).acknowledged == 1
    assert count_records(broker) == 2
    refused = [record for record in caplog.records if record.name == "soundlake.kafka" and "Connection refused" in record.getMessage()]
    assert 1 <= len(refused) <= 3
    assert all(record.levelno >= logging.WARNING for record in refused)


def test_a_broker_killed_during_an_append_stores_every_record_once_after_its_restart(kafka_server, broker):
    keys, values = make_plays(200_000)
    broker.append(PLAYS.name, [b"ann"], [b"first"])
    found = []
    appending = threading.Thread(target=lambda: found.append(broker.append(PLAYS.name, keys, values)))
    appending.start()
    while count_records(broker) == 1:  # some are stored, most are not
        pass
    kafka_server.kill()
    kafka_server.start()
    appending.join(120)
    assert (found[0].acknowledged, found[0].failed, found[0].unsure) == (200_000, {}, {})
    assert count_records(broker) == 200_001


def test_records_without_an_answer_in_time_are_unsure(kafka_server, access, broker):
    with open_kafka(access, delivery_seconds=2.0) as hasty:
        assert hasty.append(PLAYS.name, [b"ann"], [b"first"]).acknowledged == 1
        kafka_server.pause()
        try:
            delivery = hasty.append(PLAYS.name, [b"ann"] * 3, [b"1", b"2", b"2"])
        finally:
            kafka_server.resume()
    assert (delivery.acknowledged, delivery.failed, sorted(delivery.unsure)) == (0, {}, [0, 1, 2])
    assert count_records(broker) in (1, 4)


def test_no_request_fails_while_the_broker_pauses_for_less_than_the_time_of_an_answer(kafka_server, access, broker):
    broker.append(PLAYS.name, [b"ann"], [b"first"])
    is_over, errors, answers = threading.Event(), [], []

    def ask():
        while not is_over.wait(0.01):
            try:
                answers.append(count_records(broker))
            except Unavailable as error:
                errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    for seconds in (2.2, 2.4, 2.6, 2.8, 3.0):  # the client bootstraps again after two
        kafka_server.pause()
        time.sleep(seconds)
        kafka_server.resume()
        before = len(answers)
        wait_until(lambda before=before: len(answers) > before + 2 or errors)
    is_over.set()
    asking.join(30)
    assert errors == []
    assert set(answers) == {1}


def test_a_broker_that_pauses_or_is_killed_delays_the_sink_without_loss(kafka_server, access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(3_000)
    with RunningSink(access, lake) as sink:
        broker.append(PLAYS.name, keys[:1_000], values[:1_000])
        sink.await_ids(read_ids(values[:1_000]))
        kafka_server.pause()
        time.sleep(7)  # longer than the broker's own session (3 s) and the sink's requests (5 s)
        kafka_server.resume()
        assert broker.append(PLAYS.name, keys[1_000:2_000], values[1_000:2_000]).acknowledged == 1_000
        sink.await_ids(read_ids(values[:2_000]))
        kafka_server.kill()
        kafka_server.start()
        assert broker.append(PLAYS.name, keys[2_000:], values[2_000:]).acknowledged == 1_000
        sink.await_ids(read_ids(values))


def test_a_missing_topic_stops_the_sink_at_once_and_a_deleted_one_after_the_retries(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(100)
    with pytest.raises(TopicMissing, match="the topic nobody_made does not exist"):
        Sink(broker, lake, SinkLimits(), topics=[replace(SKIPS, name="nobody_made")]).run(until_drained=True, retry_seconds=60)
    with RunningSink(access, lake, retry_seconds=2) as sink:
        broker.append(PLAYS.name, keys, values)
        sink.await_ids(read_ids(values))
        delete_topics(access)
        sink.join()
    assert isinstance(sink.error, TopicMissing)
    assert sink.error.message == "the topic user_plays does not exist: create it first"
    assert "soundlake topics create" in sink.error.next_step


@pytest.mark.parametrize("length", [50, 500, 2_000], ids=["shorter", "as long", "longer"])
def test_a_topic_created_again_while_the_sink_runs_is_read_from_its_beginning(access, broker, tmp_path, length):
    lake, (keys, values) = open_lake(tmp_path), make_plays(500 + length)
    before = broker.log_id(PLAYS.name)
    with RunningSink(access, lake) as sink:
        broker.append(PLAYS.name, keys[:500], values[:500])
        sink.await_ids(read_ids(values[:500]))
        recreate_topic(access)
        with open_kafka(access) as another:
            wait_until_recreated(another, before)
            assert another.append(PLAYS.name, keys[500:], values[500:]).acknowledged == length
        sink.await_ids(read_ids(values))
    assert sink.error is None
    assert len(set(lake.read("plays", ["_broker"])["_broker"].to_pylist())) == 2


def test_records_of_a_topic_created_again_have_its_own_log_id(access, broker):
    keys, values = make_plays(2_500)
    broker.append(PLAYS.name, keys[:500], values[:500])
    before, ends = broker.log_id(PLAYS.name), {number: held.end for number, held in broker.offsets(PLAYS.name).items()}
    assert broker.poll(PLAYS.name, ends, **FOREVER) == []
    recreate_topic(access)
    with open_kafka(access) as another:
        wait_until_recreated(another, before)
        another.append(PLAYS.name, keys[500:], values[500:])
        runs = []

        def has_records() -> bool:
            with suppress(TopicMissing, Unavailable):
                runs.extend(broker.poll(PLAYS.name, ends, **FOREVER))
            return bool(runs)

        wait_until(has_records)
        assert {run.log_id for run in runs} == {another.log_id(PLAYS.name)} != {before}


def recreate_topic(access: KafkaAccess) -> None:
    """Delete the topic of plays and create it again, faster than any poll notices."""
    admin = AdminClient({"bootstrap.servers": access.servers})
    admin.delete_topics([PLAYS.name])[PLAYS.name].result(30)
    admin.create_topics([NewTopic(PLAYS.name, 3, config=TopicPlan(3).configs)])[PLAYS.name].result(30)


def wait_until_recreated(broker, before: str) -> None:
    """The broker applies deletions and creations a moment after the controller."""

    def has_another_id() -> bool:
        with suppress(TopicMissing):
            return broker.log_id(PLAYS.name) != before
        return False

    wait_until(has_another_id)


def test_records_deleted_before_they_were_read_stop_the_sink_with_the_gap(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(600, listeners=1)
    sink = Sink(broker, lake, SinkLimits(), topics=[PLAYS])
    broker.append(PLAYS.name, keys[:100], values[:100])
    sink.run(until_drained=True)
    broker.append(PLAYS.name, keys[100:], values[100:])
    (partition,) = [number for number, held in broker.offsets(PLAYS.name).items() if len(held)]
    broker.trim(PLAYS.name, {partition: 350})
    with pytest.raises(OffsetGap) as caught:
        sink.run(until_drained=True, retry_seconds=60)
    assert (caught.value.expected, caught.value.first_available) == (100, 350)
    assert len(stored_ids(lake)) == 100


def test_records_over_the_topic_s_own_limit_fail_with_the_reason_and_others_are_stored(access, broker):
    plan = TopicPlan(3)
    configure_topic(access, SKIPS.name, max_message_bytes=2_000)
    noise = b"".join(value for value in make_plays(40)[1])
    delivery = broker.append(SKIPS.name, [b"ann"], [noise])
    assert (delivery.acknowledged, list(delivery.failed)) == (0, [0])
    assert "too large" in delivery.failed[0].lower()
    assert broker.append(SKIPS.name, [b"ann"] * 2, [b"1", b"2"]).acknowledged == 2
    (check,) = broker.ensure_topics([SKIPS], plan)
    assert check.differences == {"max.message.bytes": ("2000", plan.configs["max.message.bytes"])}
    (check,) = broker.ensure_topics([SKIPS], plan, repair=True)
    assert (check.created, check.differences) == (False, {})
    assert broker.append(SKIPS.name, [b"ann"], [noise]).acknowledged == 1


def test_a_fetch_passes_over_offsets_without_a_record(access, broker):
    producer = Producer({"bootstrap.servers": access.servers, "transactional.id": "another producer"})
    producer.init_transactions(30)
    for _ in range(2):
        producer.begin_transaction()
        producer.produce(PLAYS.name, b"{}", partition=0)
        producer.commit_transaction(30)
    wait_until(lambda: broker.offsets(PLAYS.name)[0].end == 4)  # each record and its control record
    found = [broker.fetch(PLAYS.name, 0, offset, **FOREVER) for offset in (0, 1, 3, 4)]
    assert [records.offsets.to_pylist()[-1:] for records in found] == [[2], [2], [], []]
    assert found[1].offsets.to_pylist() == [2]
    assert [records.next_offset for records in found[2:]] == [4, 4]
