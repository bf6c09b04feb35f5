"""The process that runs dbt, with a worker that follows instructions instead of running dbt."""

import os
import sys
import time

import psutil
import pytest

from soundlake.errors import Unavailable
from soundlake.warehouse.dbt_process import DbtProcess, DbtResult, NodeResult

WORKER = """
import json, os, sys
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"event": "started", "node": "plays"}), flush=True)
    if "die" in request["arguments"]:
        os._exit(9)
    node = {"node": "plays", "kind": "model", "status": "success", "message": os.environ.get("DBT_QUIET"), "seconds": 1.5}
    exception = json.dumps([os.getpid(), request["reuse_manifest"], os.environ.get("GIVEN"), os.environ.get("PATH")])
    print(json.dumps({"event": "result", "success": True, "exception": exception, "nodes": [node]}), flush=True)
"""


@pytest.fixture
def dbt():
    with DbtProcess({"GIVEN": "value"}, worker=[sys.executable, "-c", WORKER]) as process:
        yield process


def find_children():
    return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


@pytest.mark.parametrize(
    ("command", "reuses"), [("build", "true"), ("run", "true"), ("test", "true"), ("debug", "false"), ("docs", "false")]
)
def test_a_result_is_read_and_models_are_run_on_the_known_manifest(dbt, command, reuses):
    progress = []
    result = dbt.run([command, "--select", "x"], lambda *event: progress.append(event))
    assert result.nodes == (NodeResult("plays", "model", "success", "true", 1.5),)
    assert f', {reuses}, "value", "{os.environ["PATH"]}"]' in result.exception
    assert progress == [("plays", "started")]


def test_one_process_serves_many_commands_until_it_is_closed(dbt):
    before = find_children()
    first, second = dbt.run(["run"]).exception, dbt.run(["run"]).exception
    assert first == second
    dbt.close()
    assert find_children() == before
    assert dbt.run(["run"]).exception != first


def test_a_process_that_dies_is_unavailable_with_its_exit_code_and_the_next_command_starts_another(dbt):
    with pytest.raises(Unavailable, match=r"dbt ended before its work was done \(exit code 9\)"):
        dbt.run(["run", "die"])
    assert dbt.run(["run"]).success


def test_a_process_that_died_between_two_commands_is_unavailable(dbt):
    before = find_children()
    dbt.run(["run"])
    (worker,) = find_children() - before
    psutil.Process(worker).kill()
    while worker in find_children():  # until it is a zombie, which DbtProcess reaps
        time.sleep(0.01)
    with pytest.raises(Unavailable, match=r"exit code -9"):
        dbt.run(["run"])


def test_an_error_while_progress_is_reported_ends_the_process(dbt):
    before = find_children()

    def fail(node, event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dbt.run(["run"], fail)
    assert find_children() == before


def test_failures_are_errors_and_failed_tests_without_skipped_nodes():
    statuses = ["success", "error", "fail", "runtime error", "skipped", "pass", "warn"]
    nodes = tuple(NodeResult(status, "model", status, None, 0.0) for status in statuses)
    assert [node.name for node in DbtResult(False, None, nodes).failures] == ["error", "fail", "runtime error"]
