"""Signals stop a command at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from soundlake.cli.stop_signals import leave_on_signal

# Event.wait holds the event's lock for moments only; here it is held until the signals have arrived.
SIGNALS_DURING_WAIT = """
import os, signal, time
from soundlake.cli.stop_signals import set_event_on_signal

with set_event_on_signal() as stop:
    with stop._cond:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)
    assert stop.wait(10)
"""

TWO_INTERRUPTS = """
import os, signal, time
from soundlake.cli.stop_signals import set_event_on_signal

with set_event_on_signal() as stop:
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.wait(10)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)
"""


def test_signals_during_a_wait_stop_a_command():
    subprocess.run([sys.executable, "-c", SIGNALS_DURING_WAIT], check=True, timeout=30)


def test_a_second_interrupt_ends_a_command_at_once():
    done = subprocess.run([sys.executable, "-c", TWO_INTERRUPTS], capture_output=True, check=False, timeout=30)
    assert done.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_block_without_an_error_and_restores_the_handler(number):
    before = signal.getsignal(signal.SIGTERM)
    with leave_on_signal():
        os.kill(os.getpid(), number)
        time.sleep(10)
        pytest.fail("the signal did not leave the block")
    assert signal.getsignal(signal.SIGTERM) is before
