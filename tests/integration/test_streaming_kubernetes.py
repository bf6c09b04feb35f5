"""The documented way onto Kubernetes, as far as it goes without a cluster: what Spark's own submission asks the API server for."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from soundlake.errors import Unavailable
from soundlake.operations.servers.programs import find_spark_java
from soundlake.settings import Settings, extend_environment, list_variables

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 300


@contextmanager
def record_requests() -> Iterator[tuple[str, list[dict]]]:
    """An API server that takes whatever it is asked to make; its address, and what that was."""
    made: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if text:
                wanted = json.loads(text)
                made.append(wanted)
                wanted = {**wanted, "metadata": {**wanted["metadata"], "uid": "1", "resourceVersion": "1"}}
            else:
                wanted = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(wanted).encode()
            self.send_response(201 if text else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815  # the names that the server calls

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", made
        finally:
            server.shutdown()
            thread.join()


def read_command(address: str) -> list[str]:
    """The words of the documented command, for that API server, and not waiting for a job that nobody runs."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "streaming.md").read_text(), re.DOTALL)
    [block] = [block for block in blocks if "--master k8s://" in block]
    words = shlex.split(block.replace("\\\n", " "))
    words = words[words.index(".venv/bin/spark-submit") + 1 :]
    master = words.index("--master") + 1
    words[master] = f"k8s://{address}"
    return [str(Path(sys.executable).with_name("spark-submit")), "--conf", "spark.kubernetes.submission.waitAppCompletion=false", *words]


def test_the_documented_command_asks_for_a_driver_that_has_all_it_needs(tmp_path):
    try:
        find_spark_java()
    except Unavailable as error:
        pytest.skip(f"no Spark: {error}")
    environment = extend_environment({"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none"), "PYSPARK_PYTHON": sys.executable})
    with record_requests() as (address, made):
        done = subprocess.run(
            read_command(address), env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    assert done.returncode == 0, done.stderr[-3_000:]
    [pod] = [one for one in made if one["kind"] == "Pod"]
    [driver] = pod["spec"]["containers"]
    assert driver["image"].endswith("/soundlake-spark:0.1.0")
    program = driver["args"][driver["args"].index("org.apache.spark.deploy.PythonRunner") + 1 :]
    assert program == ["local:///app/src/soundlake/cli/app.py", "stream", "processed"]
    assert (ROOT / "src" / "soundlake" / "cli" / "app.py").is_file()

    given = {variable["name"]: variable.get("value") for variable in driver["env"]}
    assert given["PYSPARK_PYTHON"] == "/app/.venv/bin/python"
    secret = {variable["name"] for variable in driver["env"] if "secretKeyRef" in variable.get("valueFrom", {})}
    assert secret == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SOUNDLAKE_CACHE", "SOUNDLAKE_KAFKA_PASSWORD"}
    known = set(list_variables())
    assert {name for name in given if name.startswith(("SOUNDLAKE_", "AWS_"))} <= known

    [properties] = [one["data"]["spark.properties"] for one in made if one["kind"] == "ConfigMap" and "spark.properties" in one["data"]]
    assert {"spark.driver.extraClassPath=/jars/spark/*", "spark.executor.extraClassPath=/jars/spark/*"} <= set(properties.splitlines())


def test_the_settings_of_the_documented_command_make_a_deployment(monkeypatch):
    words = read_command("http://127.0.0.1:1")
    prefixes = ("spark.kubernetes.driverEnv.", "spark.kubernetes.driver.secretKeyRef.")
    given = [word.removeprefix(prefix).split("=", 1) for word in words for prefix in prefixes if word.startswith(prefix)]
    for name, value in given:
        monkeypatch.setenv(name, "redis://:x@redis:6379/0" if name == "SOUNDLAKE_CACHE" else value)
    settings = Settings(_env_file=None)
    assert [settings.broker_address.scheme, settings.lake_address.scheme, settings.cache_address.scheme] == ["kafka", "s3", "redis"]
    assert settings.kafka_access.security_protocol == "SASL_SSL"
    assert (settings.stream.master, settings.metrics.host) == ("submitted", "0.0.0.0")
