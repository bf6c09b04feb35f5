"""Producers that others use: Kafka's own Java client and franz-go, given the same groups of records to publish."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyspark
import pytest
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
from tests.integration.kafka_cases import make_plays

from soundlake.operations.servers.programs import find_java

GO_SOURCE = Path(__file__).parent / "franz_go"
BATCH_BYTES = 8 * 1024 * 1024
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
MODES = ("plain", "idempotent", "commit", "abort")
A_GROUP = 5
NOISE_BYTES = 400_000


@dataclass(frozen=True)
class Sent:
    """A record as its producer sends it."""

    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """The records of one producer; `mode` is plain, idempotent, commit or abort (of one transaction)."""

    name: str
    codec: str
    mode: str
    records: Sequence[Sent]


def make_big_play(value: bytes) -> bytes:
    """The same play with text that no codec makes smaller than a request's usual limits."""
    return json.dumps({**json.loads(value), "note": random.Random(1).randbytes(NOISE_BYTES).hex()}).encode()


def make_groups(name: str) -> list[Group]:
    """Groups with each codec and each mode; each has plays with and without a key, with headers, and a null value."""
    groups = []
    for codec, mode in [*zip(CODECS * 4, MODES * 5, strict=True)][:8]:
        keys, values = make_plays(A_GROUP)
        records = [Sent(key, value, {"trace": b"\x00\xff"}) for key, value in zip(keys, values, strict=True)]
        records += [Sent(None, make_plays(1)[1][0]), Sent(keys[0], None), Sent(None, None)]
        records.append(Sent(b"", make_big_play(make_plays(1)[1][0])))
        groups.append(Group(f"{name} {codec} {mode}", codec, mode, records))
    return groups


class JavaClient:
    """Kafka's Java client in a Java of its own, driven through py4j: a program in Java would need a compiler to start."""

    def __init__(self, gateway: JavaGateway) -> None:
        self._kafka = gateway.jvm.org.apache.kafka
        self._properties = gateway.jvm.java.util.Properties

    def publish(self, address: str, topic: str, groups: Sequence[Group]) -> None:
        """Send each group by a producer of its own."""
        for group in groups:
            self._publish(address, topic, group)

    def _publish(self, address: str, topic: str, group: Group) -> None:
        is_transaction = group.mode in ("commit", "abort")
        producer = self._open(address, group, is_transaction=is_transaction)
        if is_transaction:
            producer.initTransactions()
            producer.beginTransaction()
        answers = []
        for sent in group.records:
            record = self._kafka.clients.producer.ProducerRecord(topic, None, sent.key, sent.value)
            for name, value in sent.headers.items():
                record.headers().add(name, value)
            answers.append(producer.send(record))
        producer.flush()
        for answer in answers:
            answer.get()
        if is_transaction:
            producer.commitTransaction() if group.mode == "commit" else producer.abortTransaction()
        producer.close()

    def _open(self, address: str, group: Group, *, is_transaction: bool) -> Any:
        properties = self._properties()
        settings = {
            "bootstrap.servers": address, "compression.type": group.codec, "enable.idempotence": str(group.mode != "plain").lower(),
            "linger.ms": "20", "max.request.size": str(BATCH_BYTES), **({"transactional.id": group.name} if is_transaction else {}),
        }  # fmt: skip
        for name, value in settings.items():
            properties.setProperty(name, value)
        serializers = [self._kafka.common.serialization.ByteArraySerializer() for _ in range(2)]
        return self._kafka.clients.producer.KafkaProducer(properties, *serializers)


@contextmanager
def open_java_client(jars: Path) -> Iterator[JavaClient]:
    """The client of these jars, for the block."""
    (py4j,) = (Path(pyspark.__file__).parent / "jars").glob("py4j-*.jar")
    port = launch_gateway(
        jarpath=str(py4j), classpath=f"{jars}/*", java_path=str(find_java()), die_on_exit=True,
        javaopts=["-XX:TieredStopAtLevel=1", "-Xmx256m", "-Djava.net.preferIPv4Stack=true"],
    )  # fmt: skip
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port))
    try:
        yield JavaClient(gateway)
    finally:
        gateway.shutdown()


class GoClient:
    """The program in `franz_go/`, built for this test run."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def publish(self, address: str, topic: str, groups: Sequence[Group]) -> None:
        """Send each group by a producer of its own."""
        described = json.dumps([asdict(group) for group in groups], default=_encode)
        done = subprocess.run([self._program, address, topic], input=described, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr


def build_go_client(folder: Path) -> GoClient:
    """The client, built; skips the test where Go or its modules are missing."""
    if shutil.which("go") is None:
        pytest.skip("no Go: the test with franz-go is skipped")
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    command = ["go", "build", "-o", str(folder / "producer"), "."]
    done = subprocess.run(command, cwd=GO_SOURCE, env=environment, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        pytest.skip(f"franz-go cannot be built: {done.stderr.strip()[-300:]}")
    return GoClient(folder / "producer")


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode()
