"""A command that is asked to stop does so, at whatever moment it is asked."""

from __future__ import annotations

import signal
import subprocess
import sys

# Event.wait takes the event's lock for moments; here it is held so long that the signals surely come meanwhile.
STRUCK_WHILE_WAITING = """
import os, signal, time
from soundlake.cli.stop_signals import set_event_on_signal

with set_event_on_signal() as stop:
    with stop._cond:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)
    assert stop.wait(10)
"""

STRUCK_TWICE_BY_CTRL_C = """
import os, signal, time
from soundlake.cli.stop_signals import set_event_on_signal

with set_event_on_signal() as stop:
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.wait(10)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)
"""


def test_signals_that_come_in_the_middle_of_waiting_stop_a_command():
    subprocess.run([sys.executable, "-c", STRUCK_WHILE_WAITING], check=True, timeout=30)


def test_a_second_interrupt_ends_a_command_at_once():
    done = subprocess.run([sys.executable, "-c", STRUCK_TWICE_BY_CTRL_C], capture_output=True, check=False, timeout=30)
    assert done.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in done.stderr
