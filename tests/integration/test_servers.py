"""The local servers: they start, keep acknowledged data after SIGKILL, and check passwords."""

from __future__ import annotations

import socket
import stat
import time

import obstore
import psutil
import pytest
import redis
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from obstore.exceptions import PermissionDeniedError
from obstore.store import S3Store
from tenacity import stop_after_delay
from tests.server_process import ServerProcess
from tests.servers import KAFKA_PASSWORD, KAFKA_USER

from soundlake.errors import Unavailable
from soundlake.operations.servers import KafkaServer, ObjectStore, RedisServer, Server, find_free_block
from soundlake.retries import retry_policy

QUIET = {"log_level": 0}


def open_bucket(options: dict[str, str], **changes: str) -> S3Store:
    config = {name.lower(): value for name, value in ({**options, **changes}).items() if name != "AWS_ALLOW_HTTP"}
    return S3Store.from_url("s3://spotify-data-lake/servers", config=config, client_options={"allow_http": True})


def find_secret(server: Server) -> str:
    match server:
        case ObjectStore():
            return server.keys.secret_key
        case RedisServer():
            return server.password
    return KAFKA_PASSWORD


def listening_addresses(server: ServerProcess) -> set[str]:
    return {c.laddr.ip for c in psutil.Process(server.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN}


def test_kafka_keeps_acknowledged_records_after_sigkill(kafka_server):
    address = {"bootstrap.servers": kafka_server.server.address, **QUIET}
    admin = AdminClient(address)
    admin.create_topics([NewTopic("kept", 1)])["kept"].result(30)
    errors: list[KafkaError | None] = []
    producer = Producer(address | {"acks": "all"})
    for number in range(1_000):
        producer.produce("kept", str(number).encode(), on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(30) == 0
    kafka_server.kill()
    kafka_server.start()
    assert errors == [None] * 1_000
    consumer = Consumer(address | {"group.id": "test"})
    without_leader = retry_policy(first_wait_seconds=0.2, longest_wait_seconds=1, stop=stop_after_delay(60), on=KafkaException)
    assert without_leader(consumer.get_watermark_offsets, TopicPartition("kept", 0), timeout=30) == (0, 1_000)
    consumer.close()


@pytest.mark.parametrize(("password", "is_accepted"), [(KAFKA_PASSWORD, True), ("wrong", False)], ids=["right", "wrong"])
def test_the_password_listener_of_kafka_checks_the_password(kafka_server, password, is_accepted):
    client = AdminClient({
        "bootstrap.servers": kafka_server.server.sasl_address, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
        "sasl.username": KAFKA_USER, "sasl.password": password, **QUIET,
    })  # fmt: skip
    if is_accepted:
        assert client.list_topics(timeout=20).brokers
    else:
        with pytest.raises(KafkaException):
            client.list_topics(timeout=3)


def test_the_object_store_keeps_acknowledged_objects_after_sigkill(object_store):
    bucket = open_bucket(object_store.server.storage_options)
    for number in range(50):
        obstore.put(bucket, f"kept/{number}", str(number).encode())
    object_store.kill()
    object_store.start()
    assert {bytes(obstore.get(bucket, f"kept/{number}").bytes()) for number in range(50)} == {str(n).encode() for n in range(50)}


def test_the_object_store_rejects_other_keys(object_store):
    client = open_bucket(object_store.server.storage_options, AWS_SECRET_ACCESS_KEY="wrong")
    with pytest.raises(PermissionDeniedError, match="SignatureDoesNotMatch"):
        obstore.put(client, "rejected", b"")


def test_an_idle_object_store_uses_little_cpu(object_store):
    """Within a minute it falls below four percent of a core (a heap above its memory limit takes 10 to 20 for good)."""
    process = psutil.Process(object_store.pid)
    seconds_used = []
    for _ in range(30):
        before = sum(process.cpu_times()[:2])
        time.sleep(2)
        seconds_used.append(sum(process.cpu_times()[:2]) - before)
        if seconds_used[-1] < 0.08:
            return
    pytest.fail(f"the idle object store used {seconds_used} CPU seconds in each interval")


def test_redis_checks_its_password_and_keeps_its_data(redis_server):
    client = redis.Redis.from_url(redis_server.server.url)
    client.set("kept", "yes")
    redis_server.restart()
    assert client.get("kept") == b"yes"
    client.close()
    with redis.Redis(port=redis_server.server.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


@pytest.mark.parametrize("name", ["kafka_server", "object_store", "redis_server"])
def test_a_server_listens_on_the_loopback_address_only(request, name):
    assert listening_addresses(request.getfixturevalue(name)) <= {"127.0.0.1", "::ffff:127.0.0.1"}


@pytest.mark.parametrize("name", ["kafka_server", "object_store", "redis_server"])
def test_secrets_are_in_private_files_and_not_on_the_command_line(request, name):
    process = request.getfixturevalue(name)
    server = process.server
    secret = {
        "kafka_server": lambda: KAFKA_PASSWORD,
        "object_store": lambda: server.keys.secret_key,
        "redis_server": lambda: server.password,
    }[name]()
    holders = [path for path in server.folder.iterdir() if path.is_file() and secret.encode() in path.read_bytes()]
    assert holders
    assert {stat.S_IMODE(path.stat().st_mode) for path in holders} == {0o600}
    assert secret not in " ".join(psutil.Process(process.pid).cmdline())
    assert secret not in process.log.read_text()


@pytest.mark.parametrize("name", ["kafka_server", "object_store", "redis_server"])
def test_a_paused_server_is_not_ready_although_the_kernel_accepts_connections(request, name):
    process = request.getfixturevalue(name)
    assert process.server.is_ready()
    process.pause()
    try:
        assert not process.server.is_ready()
    finally:
        process.resume()
    deadline = time.monotonic() + 20
    while not process.server.is_ready():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("kind", ["kafka", "object store", "redis"])
def test_a_server_runs_in_a_home_with_spaces_and_quotes(request, tmp_path, kind):
    home = tmp_path / """my "own" listener's home""" / "which is longer than the path of a unix socket may be" / "by far"
    servers = {
        "kafka": lambda: KafkaServer(home / "kafka", find_free_block(), request.getfixturevalue("kafka_jars")),
        "object store": lambda: ObjectStore(home / "object-store", find_free_block()),
        "redis": lambda: RedisServer(home / "redis", find_free_block()),
    }
    with ServerProcess(servers[kind](), home / "logs") as process:
        assert process.server.is_ready()
        process.kill()
        process.start()
    stored = {"kafka": "kafka/data/meta.properties", "object store": "object-store/data/filerldb2", "redis": "redis/appendonlydir"}
    assert (home / stored[kind]).exists(), sorted(home.rglob("*"))


def test_a_taken_port_is_named_with_the_setting_that_moves_it(redis_server, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"redis: port {port} .*\n→ .*SOUNDLAKE_REDIS_PORT"):
            ServerProcess(RedisServer(tmp_path, port), tmp_path).start()
