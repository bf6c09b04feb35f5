"""How a command that runs until it is stopped hears of it."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """While the block runs, SIGINT and SIGTERM set the event instead of ending the process; a second Ctrl-C ends it at once."""
    stop = threading.Event()
    is_asked = False

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal is_asked
        if not is_asked:
            is_asked = True
            # Not from here: setting takes the event's lock, which this very thread may hold while it waits for the event.
            _thread.start_new_thread(stop.set, ())
        elif number == signal.SIGINT:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
