"""Apache Kafka as one KRaft node, broker and controller in one process, without Docker and without its distribution."""

from __future__ import annotations

import base64
import shutil
import socket
import struct
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from soundlake.errors import Unavailable
from soundlake.operations.servers.ports import ANSWER_SECONDS, LOOPBACK
from soundlake.operations.servers.private_files import check_folder, write_private
from soundlake.operations.servers.programs import find_java, java_options

INFRA = Path(__file__).parents[4] / "infra" / "kafka"
_ANY_NUMBER = 9470
_ANSWER_HEAD = struct.Struct(">iih")  # length, the number of the question, error code


@dataclass(frozen=True)
class KafkaServer:
    """One broker in a folder. `users` (name → password) opens a second listener that asks for them by SASL/PLAIN.

    `properties` are added to the broker's configuration, for tests that want a small segment or a low limit.
    """

    folder: Path
    port: int
    jars: Path
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    properties: Mapping[str, str] = field(default_factory=dict)
    heap: str = "512m"
    name: str = "kafka"
    setting: str = "SOUNDLAKE_KAFKA_PORT"

    @property
    def ports(self) -> dict[str, int]:
        """For clients, for the controller, and with users the one that asks for a password."""
        with_password = {"clients with a password": self.port + 2} if self.users else {}
        return {"clients": self.port, "controller": self.port + 1, **with_password}

    @property
    def address(self) -> str:
        """What clients without a password connect to, as host:port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def sasl_address(self) -> str:
        """What clients with a password (SASL_PLAINTEXT, PLAIN) connect to, as host:port."""
        return f"{LOOPBACK}:{self.port + 2}"

    @property
    def command(self) -> tuple[str, ...]:
        """The broker; it ends by itself when memory runs out, and is then started anew."""
        return (
            *self._java(), "-Xms256m", f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError",
            "kafka.Kafka", str(self._configuration),
        )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of ours; a heap meant for another Java must not reach this one."""
        return {"KAFKA_OPTS": "", "JAVA_TOOL_OPTIONS": ""}

    def prepare(self) -> None:
        """Write server.properties (readable by its owner alone: it may hold passwords) and format the folder the first time.

        Raises SettingsError for a folder that Kafka cannot name, Unavailable if it cannot be laid out.
        """
        check_folder(self.folder)
        write_private(self._configuration, self._describe())
        if (self._data / "meta.properties").exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        command = (
            *self._java(),
            "kafka.tools.StorageTool",
            "format",
            "--standalone",
            "-t",
            _make_cluster_id(),
            "-c",
            str(self._configuration),
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).strip().splitlines()[-3:]
            raise Unavailable(f"{self._data}: Kafka cannot lay out its folder: {' | '.join(said)}", next_step="see that it may write there")

    def is_ready(self) -> bool:
        """Whether it answers: it opens its ports when it has recovered its logs and joined."""
        return all(_is_speaking(port) for port in self.ports.values())

    def configure(self) -> None:
        """Nothing more to do."""

    @property
    def _configuration(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _java(self) -> tuple[str, ...]:
        java = find_java()
        logging = f"-Dlog4j2.configurationFile={INFRA / 'log4j2.properties'}"
        return (str(java), *java_options(java), "-Djava.net.preferIPv4Stack=true", logging, "-cp", f"{self.jars}/*")

    def _describe(self) -> str:
        listeners = {"BROKER": self.port, "CONTROLLER": self.port + 1, **({"PASSWORD": self.port + 2} if self.users else {})}
        security = {"BROKER": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", "PASSWORD": "SASL_PLAINTEXT"}
        found = {
            "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{self.port + 1}",
            "listeners": ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items()),
            "advertised.listeners": ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items() if name != "CONTROLLER"),
            "listener.security.protocol.map": ",".join(f"{name}:{security[name]}" for name in listeners),
            "log.dirs": str(self._data),
            **self._describe_users(),
            **self.properties,
        }
        fixed = (INFRA / "server.properties").read_text(encoding="utf-8")
        return fixed + "".join(f"{name}={_escape(value)}\n" for name, value in found.items())

    def _describe_users(self) -> dict[str, str]:
        if not self.users:
            return {}
        accepted = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        return {
            "listener.name.password.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.password.plain.sasl.jaas.config": f"{login} {accepted};",
        }


def _is_speaking(port: int) -> bool:
    """Whether a broker tells there what it understands (ApiVersions, version 0), which it tells everybody."""
    question = struct.pack(">hhih", 18, 0, _ANY_NUMBER, -1)
    try:
        with socket.create_connection((LOOPBACK, port), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(question)) + question)
            answer = b""
            while len(answer) < _ANSWER_HEAD.size and (more := connection.recv(_ANSWER_HEAD.size - len(answer))):
                answer += more
    except OSError:
        return False
    return len(answer) == _ANSWER_HEAD.size and _ANSWER_HEAD.unpack(answer)[1:] == (_ANY_NUMBER, 0)


def _escape(value: str) -> str:
    """A value as Java reads it in a properties file: Latin-1, a backslash begins an escape, also of a UTF-16 unit."""
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    letters = (int.from_bytes(units[place : place + 2]) for place in range(0, len(units), 2))
    return "".join(chr(letter) if letter < 128 else f"\\u{letter:04x}" for letter in letters)  # noqa: PLR2004  # ASCII


def _make_cluster_id() -> str:
    """A random id as Kafka writes them: 16 bytes, base64 for URLs, not beginning with a dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text
