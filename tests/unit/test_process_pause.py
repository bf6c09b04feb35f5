"""The helper that pauses processes in tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.process_pause import pause_process, resume_process

PROGRAM = """
import threading, time
def run():
    while True:
        time.sleep(0.0002)
for _ in range(8):
    threading.Thread(target=run, daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
"""


def test_a_paused_process_has_no_thread_that_runs():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        for _ in range(5):
            pause_process(process.pid)
            threads = list(Path(f"/proc/{process.pid}/task").iterdir())
            assert len(threads) == 9
            assert {(thread / "stat").read_text().rpartition(")")[2].split()[0] for thread in threads} == {"T"}
            resume_process(process.pid)
        process.kill()
