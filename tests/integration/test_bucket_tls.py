"""A lake behind TLS with an authority that only SSL_CERT_FILE names: sink, reads and warehouse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable
from tests.integration.tls_front import make_certificates, open_tls_proxy

from soundlake.settings import load_settings
from soundlake.wiring import open_broker


@pytest.fixture
def soundlake(object_store, tmp_path):
    """Runs `soundlake` commands on a lake behind TLS."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to create certificates")
    authority = make_certificates(tmp_path)
    with open_tls_proxy(object_store.server.port, tmp_path) as endpoint:

        def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
            options = {name: value for name, value in object_store.server.storage_options.items() if name != "AWS_ALLOW_HTTP"}
            settings = {
                **options, "AWS_ENDPOINT_URL": endpoint, "SOUNDLAKE_HOME": str(tmp_path / "home"), "SSL_CERT_FILE": str(authority),
                "SOUNDLAKE_LAKE": f"s3://spotify-data-lake/{tmp_path.name}", "SOUNDLAKE_DUCKDB_MEMORY": "1GB", **changes,
            }  # fmt: skip
            environment = {name: value for name, value in {**os.environ, **settings}.items() if value}
            command = [sys.executable, "-m", "soundlake.cli.app", *arguments]
            return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

        yield run


def publish(home: Path, count: int) -> None:
    with closing(open_broker(load_settings(home=home))) as broker:
        for _ in range(count):
            event = {"event_id": str(uuid.uuid4()), "event_type": "play", "user_id": "ann", "played_at": datetime.now(UTC).isoformat()}
            event |= {"track_id": "t", "track_name": "夜に駆ける", "artist_name": "YOASOBI", "ms_played": 31_000}
            broker.append("user_plays", [b"ann"], [json.dumps(event).encode()])


def test_sink_and_warehouse_work_behind_tls(soundlake, object_store, tmp_path):
    publish(tmp_path / "home", 5)
    done = soundlake("sink", "--until-drained", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events"] == 5
    table = DeltaTable(f"s3://spotify-data-lake/{tmp_path.name}/bronze/plays", storage_options=object_store.server.storage_options)
    assert table.to_pyarrow_table(columns=["event_id"]).num_rows == 5
    done = soundlake("transform", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"]["silver_plays"] == 5
    done = soundlake("check", "--json")
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SSL_CERT_FILE": ""}, "its certificate is not trusted\n→ set SSL_CERT_FILE to the file of its authority"),
        (
            {"AWS_ENDPOINT_URL": "{plain}"},
            "its endpoint does not use TLS\n→ begin AWS_ENDPOINT_URL with http:// and set AWS_ALLOW_HTTP=true",
        ),
    ],
    ids=["unknown authority", "no TLS"],
)
def test_a_tls_error_ends_the_sink_at_once_with_the_setting_to_change(soundlake, object_store, changes, message):
    plain = f"https://127.0.0.1:{object_store.server.port}"
    done = soundlake("sink", **{name: value.format(plain=plain) for name, value in changes.items()})
    assert done.returncode == 2
    assert message in done.stderr
