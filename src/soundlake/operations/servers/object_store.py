"""SeaweedFS as one process: a local S3 server with working conditional puts (If-None-Match)."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from soundlake.errors import Unavailable
from soundlake.operations.servers.ports import LOOPBACK, is_answering, is_serving
from soundlake.operations.servers.private_files import check_folder, write_private
from soundlake.operations.servers.programs import find_weed

REGION = "us-east-1"
_ADMIN_GRPC = 10_000  # its worker expects this offset whatever the option says
_SYNC = "fs.configure -locationPrefix=/buckets/ -fsync -apply"
_SECONDS = 30.0
_LONGEST_SOCKET = 104  # bytes with the zero at the end, on macOS; Linux takes four more


@dataclass(frozen=True)
class StoreKeys:
    """The access key and secret key of a local store."""

    access_key: str
    secret_key: str


@dataclass(frozen=True)
class ObjectStore:
    """One store in a folder. It uses ten ports from `port` on, and one 10,000 above the ninth."""

    folder: Path
    port: int
    buckets: Sequence[str] = ("spotify-data-lake",)
    name: str = "object-store"
    setting: str = "SOUNDLAKE_OBJECT_STORE_PORT"

    @property
    def ports(self) -> dict[str, int]:
        """S3, and the internal ports of its parts."""
        names = ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "admin")
        return {**{name: self.port + step for step, name in enumerate(names)}, "admin.grpc": self.port + 8 + _ADMIN_GRPC}

    @property
    def address(self) -> str:
        """The S3 endpoint."""
        return self.endpoint

    @property
    def endpoint(self) -> str:
        """The S3 endpoint."""
        return f"http://{LOOPBACK}:{self.port}"

    @cached_property
    def keys(self) -> StoreKeys:
        """The keys of this folder, generated the first time."""
        path = self._keys_file
        if not path.exists():
            pair = {"accessKey": f"SL{secrets.token_hex(9).upper()}", "secretKey": secrets.token_urlsafe(32)}
            identity = {"name": "soundlake", "credentials": [pair], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
            write_private(path, json.dumps({"identities": [identity]}, indent=1))
        found = json.loads(path.read_text(encoding="utf-8"))["identities"][0]["credentials"][0]
        return StoreKeys(found["accessKey"], found["secretKey"])

    @property
    def storage_options(self) -> dict[str, str]:
        """delta-rs options to connect; holds a secret."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.keys.access_key,
            "AWS_SECRET_ACCESS_KEY": self.keys.secret_key,
            "AWS_ALLOW_HTTP": "true",
        }

    @property
    def command(self) -> tuple[str, ...]:
        """All parts in one process, on the loopback address only, without web pages and telemetry."""
        ports = {f"{name.replace('.grpc', '')}.port{'.grpc' if name.endswith('.grpc') else ''}": port for name, port in self.ports.items()}
        options = {
            "dir": self.folder / "data", "ip": LOOPBACK, "ip.bind": LOOPBACK, **ports, "s3.port.iceberg": 0, "s3.port.lance": 0,
            "s3.config": self._keys_file, "s3.iam": "false", "s3.autoCreateBucket": "false", "bucket": ",".join(self.buckets),
            "filer.localSocket": self._place_socket("filer"), "s3.localSocket": self._place_socket("s3"),
            "admin.ui": "false", "webdav": "false", "disableHttp": "true", "master.telemetry": "false",
        }  # fmt: skip
        logging = (f"-logdir={self.folder / 'logs'}", "-log_max_size_mb=20", "-log_max_files=2")  # the default keeps five files of 1,800 MB
        return (str(find_weed()), *logging, "mini", *(f"-{name}={value}" for name, value in options.items()))

    @property
    def environment(self) -> dict[str, str]:
        """A heap for a laptop. It reports 231 MB right after the start and uses half of that; below, it collects garbage all the time."""
        return {"GOMEMLIMIT": "400MiB", "GOGC": "50"}

    def prepare(self) -> None:
        """Create its folders and keys, and delete the options saved by its last run, which would override new ports.

        Raises SettingsError for a folder that SeaweedFS cannot name.
        """
        check_folder(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("data", "logs"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "data" / "mini.options").unlink(missing_ok=True)
        assert self.keys

    def is_ready(self) -> bool:
        """Whether all its ports are open and S3 answers."""
        return all(is_answering(port) for port in self.ports.values()) and is_serving(self.port, "/")

    def configure(self) -> None:
        """Create the buckets, and turn on fsync before each acknowledgement. Raises Unavailable."""
        script = [_SYNC, *(f"s3.bucket.create -name {bucket}" for bucket in self.buckets), "s3.bucket.list"]
        master = f"-master={LOOPBACK}:{self.ports['master']}.{self.ports['master.grpc']}"
        command = (str(find_weed()), f"-logdir={self.folder / 'logs'}", "shell", master)
        try:
            done = subprocess.run(command, input="\n".join([*script, ""]), capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired as cause:
            raise Unavailable(
                f"{self.name} did not accept its configuration in {_SECONDS:.0f} s", next_step=f"see {self.folder / 'logs'}"
            ) from cause
        made = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
        if '"fsync":  true' not in done.stdout or not made.issuperset(self.buckets):
            output = (done.stdout + done.stderr).strip()[-300:]
            raise Unavailable(f"{self.name} did not accept its configuration: {output}", next_step=f"see {self.folder / 'logs'}")

    def _place_socket(self, part: str) -> Path:
        """A unix socket in its folder; in the temporary folder where that path is too long for a socket."""
        path = self.folder / f"{part}.sock"
        return path if len(os.fsencode(path)) < _LONGEST_SOCKET else Path(tempfile.gettempdir()) / f"soundlake-{part}-{self.port}.sock"

    @property
    def _keys_file(self) -> Path:
        return self.folder / "keys.json"
