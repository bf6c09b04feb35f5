"""Apache Kafka as one KRaft node, broker and controller in one process, without Docker and without its distribution."""

from __future__ import annotations

import base64
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from soundlake.errors import Unavailable
from soundlake.operations.servers.keys import write_private
from soundlake.operations.servers.ports import LOOPBACK, is_answering
from soundlake.operations.servers.programs import find_java, java_options

INFRA = Path(__file__).parents[4] / "infra" / "kafka"


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
        """Write server.properties (readable by its owner alone: it may hold passwords) and format the folder the first time."""
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
        """Whether it takes connections: it opens its port when it has recovered its logs and joined."""
        return all(is_answering(port) for port in self.ports.values())

    def settle(self) -> None:
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
        return fixed + "".join(f"{name}={value}\n" for name, value in found.items())

    def _describe_users(self) -> dict[str, str]:
        if not self.users:
            return {}
        accepted = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        return {
            "listener.name.password.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.password.plain.sasl.jaas.config": f"{login} {accepted};",
        }


def _make_cluster_id() -> str:
    """A random id as Kafka writes them: 16 bytes, base64 for URLs, not beginning with a dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text
