"""Apache Kafka as one KRaft node: broker and controller in one process, run from its jars."""

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
from soundlake.operations.servers.programs import find_java, list_java_options

INFRA = Path(__file__).parents[4] / "infra" / "kafka"
_CORRELATION_ID = 9470
_ANSWER_HEAD = struct.Struct(">iih")  # length, correlation id, error code


@dataclass(frozen=True)
class KafkaServer:
    """One broker in a folder; `properties` are added to its configuration and win over what is there, `java_options` to its Java's."""

    folder: Path
    port: int
    jars: Path
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    heap: str = "512m"
    java_options: tuple[str, ...] = ()
    name: str = "kafka"
    setting: str = "SOUNDLAKE_KAFKA_PORT"

    @property
    def ports(self) -> dict[str, int]:
        """For clients and for the controller."""
        return {"clients": self.port, "controller": self.port + 1}

    @property
    def address(self) -> str:
        """The bootstrap server of clients, as host:port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def command(self) -> tuple[str, ...]:
        """The broker; it exits when memory runs out, so that its supervisor restarts it."""
        return (
            *self._java(), *self.java_options, "-Xms256m", f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError",
            "kafka.Kafka", str(self._configuration),
        )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """Options of the shell that are meant for another Java are cleared."""
        return {"KAFKA_OPTS": "", "JAVA_TOOL_OPTIONS": ""}

    def prepare(self) -> None:
        """Write server.properties (mode 0600: it may hold passwords) and format the data folder the first time.

        Raises SettingsError for a folder that Kafka cannot name, Unavailable if formatting fails.
        """
        check_folder(self.folder)
        write_private(self._configuration, self._describe())
        if (self._data / "meta.properties").exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        tool = ("kafka.tools.StorageTool", "format", "--standalone", "-t", _make_cluster_id(), "-c", str(self._configuration))
        command = (*self._java(), "-XX:TieredStopAtLevel=1", *self.java_options, *tool)  # it ends before more compilation pays off
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            output = (done.stdout + done.stderr).strip().splitlines()[-3:]
            raise Unavailable(
                f"{self._data}: Kafka cannot format its folder: {' | '.join(output)}", next_step="check that it may write there"
            )

    def is_ready(self) -> bool:
        """Whether it answers on every port; it opens them after log recovery."""
        return all(_answers_api_versions(port) for port in self.ports.values())

    def configure(self) -> None:
        """Nothing to do."""

    @property
    def _configuration(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _java(self) -> tuple[str, ...]:
        java = find_java()
        logging = f"-Dlog4j2.configurationFile={INFRA / 'log4j2.properties'}"
        return (str(java), *list_java_options(java), "-Djava.net.preferIPv4Stack=true", logging, "-cp", f"{self.jars}/*")

    def _describe(self) -> str:
        broker, controller = self.address, f"{LOOPBACK}:{self.port + 1}"
        found = {
            "controller.quorum.bootstrap.servers": controller,
            "listeners": f"BROKER://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"BROKER://{broker}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self._data),
            **self.properties,
        }
        fixed = (INFRA / "server.properties").read_text(encoding="utf-8")
        return fixed + "".join(f"{name}={_escape(value)}\n" for name, value in found.items())


def _answers_api_versions(port: int) -> bool:
    """Whether a broker answers an ApiVersions request (version 0) there, which needs no login."""
    request = struct.pack(">hhih", 18, 0, _CORRELATION_ID, -1)
    try:
        with socket.create_connection((LOOPBACK, port), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = b""
            while len(answer) < _ANSWER_HEAD.size and (more := connection.recv(_ANSWER_HEAD.size - len(answer))):
                answer += more
    except OSError:
        return False
    return len(answer) == _ANSWER_HEAD.size and _ANSWER_HEAD.unpack(answer)[1:] == (_CORRELATION_ID, 0)


def _escape(value: str) -> str:
    """A value in the syntax of Java's properties files: ASCII, backslashes doubled, other characters as UTF-16 escapes."""
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    letters = (int.from_bytes(units[place : place + 2]) for place in range(0, len(units), 2))
    return "".join(chr(letter) if letter < 128 else f"\\u{letter:04x}" for letter in letters)  # noqa: PLR2004  # ASCII


def _make_cluster_id() -> str:
    """A random id in Kafka's form: 16 bytes in URL-safe base64, without a leading dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text
