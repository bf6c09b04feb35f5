"""Metrics and JSON logs of real processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request

import pytest

from soundlake.operations.servers import find_free_block

PROGRAM = [sys.executable, "-m", "soundlake.cli.app"]
TIMEOUT_SECONDS = 60


def scrape(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def read_lines(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


def test_a_running_sink_serves_its_metrics_and_logs_json_only(tmp_path):
    port = find_free_block()
    environment = {**os.environ, "SOUNDLAKE_HOME": str(tmp_path), "AWS_SECRET_ACCESS_KEY": "not-to-be-seen"}
    generate = [*PROGRAM, "generate", "--listeners", "20", "--days", "1"]
    subprocess.run(generate, env=environment, check=True, capture_output=True)
    sink = subprocess.Popen(
        [*PROGRAM, "--log-json", "sink", "--for", f"{TIMEOUT_SECONDS}s"], env={**environment, "SOUNDLAKE_METRICS_PORT": str(port)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        subprocess.run([*generate, "--seed", "2"], env=environment, check=True, capture_output=True)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        stored = re.compile(r'soundlake_sink_committed_events_total\{topic="user_plays"\} [1-9]')
        while not stored.search(scrape(port)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert stored.search(scrape(port))
        assert 'soundlake_process_info{program="sink"' in scrape(port)
    finally:
        sink.terminate()
        _, output = sink.communicate(timeout=TIMEOUT_SECONDS)
    assert sink.returncode == 0
    lines = read_lines(output)
    assert {line["service"] for line in lines} == {"sink"}
    assert "batches" in lines[-1]["message"]


def test_an_error_that_ends_a_command_is_json_without_secrets(tmp_path):
    environment = {**os.environ, "SOUNDLAKE_HOME": str(tmp_path), "SOUNDLAKE_CACHE": "redis-cluster://u:not-to-be-seen@h:1"}
    done = subprocess.run([*PROGRAM, "--log-json", "check"], env=environment, capture_output=True, text=True, check=False)
    line = read_lines(done.stderr)[-1]
    assert done.returncode == 1
    assert (line["level"], line["service"], line["error"]["kind"]) == ("error", "check", "Unavailable")
    assert line["error"]["next_step"]
    assert "not-to-be-seen" not in done.stderr


@pytest.mark.parametrize(
    "unavailable",
    [{"SOUNDLAKE_BROKER": "kafka://127.0.0.1:{port}"}, {"SOUNDLAKE_LAKE": "s3://lake", "AWS_ENDPOINT_URL": "http://127.0.0.1:{port}"}],
    ids=["log", "store"],
)
def test_a_sink_that_starts_while_a_server_is_unavailable_has_no_answer_since_its_start(unavailable, tmp_path):
    port, unused = find_free_block(), find_free_block()
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ALLOW_HTTP": "true"}
    settings = {name: value.format(port=unused) for name, value in unavailable.items()}
    started = time.time()
    sink = subprocess.Popen(
        [*PROGRAM, "sink", "--compact-every", "0"],
        env={**os.environ, **keys, **settings, "SOUNDLAKE_HOME": str(tmp_path), "SOUNDLAKE_METRICS_PORT": str(port)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        found, deadline = None, time.monotonic() + TIMEOUT_SECONDS
        while found is None and time.monotonic() < deadline:
            found = re.search(r'soundlake_sink_lag_checked_timestamp_seconds\{topic="user_plays"\} (\S+)', scrape(port))
            time.sleep(0.1)
        assert started <= float(found[1]) <= time.time()
    finally:
        sink.kill()
        sink.wait()
