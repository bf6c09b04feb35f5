"""Graceful shutdown of commands that run until they are stopped."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class _Terminated(Exception):  # not an error: SIGTERM is how a service is stopped
    """SIGTERM arrived."""


@contextmanager
def set_event_on_signal() -> Iterator[threading.Event]:
    """In the block, SIGINT and SIGTERM set the event, for a loop that checks it; a second SIGINT raises KeyboardInterrupt."""
    stop = threading.Event()
    is_asked = False

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal is_asked
        if not is_asked:
            is_asked = True
            # In a thread: set() takes the lock of the event, which the interrupted thread may hold while it waits for the event.
            _thread.start_new_thread(stop.set, ())
        elif number == signal.SIGINT:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def leave_on_signal() -> Iterator[None]:
    """SIGINT and SIGTERM leave the block, at any point in it and without an error."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, leave)
    try:
        with suppress(KeyboardInterrupt, _Terminated):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
