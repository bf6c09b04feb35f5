"""The process that runs dbt. It reads one JSON request a line from standard input and writes events and a result as JSON lines.

It serves many requests, so dbt is imported once and the project parsed once. Memory and locks of dbt are freed when it ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from dbt_common.events.base_types import EventMsg

NODE_EVENTS = {"LogStartLine": "started", "LogModelResult": "finished", "LogTestResult": "finished"}


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # dbt and its adapters print to standard output, which carries only answers

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    def forward(event: EventMsg) -> None:
        if event.info.name in NODE_EVENTS:
            answer({"event": NODE_EVENTS[event.info.name], "node": event.data.node_info.node_name})

    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    manifest: Manifest | None = None
    for line in sys.stdin:
        runner = dbtRunner(manifest=manifest, callbacks=[forward])
        request = json.loads(line)
        if manifest is None and request["reuse_manifest"]:
            parsed = runner.invoke(["parse"])
            manifest = parsed.result if isinstance(parsed.result, Manifest) else None
            runner = dbtRunner(manifest=manifest, callbacks=[forward])
        outcome = describe_result(runner.invoke(request["arguments"]))
        release_database()
        answer(outcome)


def end_with_parent(parent: int) -> None:
    """Exit when the parent process is gone: it would hold the build database, and nobody could finish the build."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def release_database() -> None:
    """Close the build database: the parent opens it between two commands."""
    if DuckDBConnectionManager._ENV is not None:  # noqa: SLF001  # env() raises where a command never opened one
        DuckDBConnectionManager.env().close()


def describe_result(result: dbtRunnerResult) -> dict[str, Any]:
    """The answer for a finished command."""
    nodes = [
        {
            "node": node.node.name,
            "kind": str(node.node.resource_type),
            "status": str(node.status),
            "message": node.message,
            "seconds": node.execution_time,
        }
        for node in getattr(result.result, "results", None) or []
        if hasattr(node, "node") and hasattr(node.node, "resource_type")
    ]
    return {
        "event": "result",
        "success": bool(result.success),
        "exception": str(result.exception) if result.exception else None,
        "nodes": nodes,
    }


if __name__ == "__main__":
    main()
