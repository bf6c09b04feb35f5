"""Time of the fake: a clock that can be set and sped up, and an event loop on which waiting takes no time."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class AdjustableClock:
    """A clock that runs `speed` times as fast as `monotonic` (seconds). Call it for the time, aware and in UTC."""

    def __init__(self, start: datetime, *, speed: float = 1.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._start, self._since, self._speed = start, monotonic(), speed

    def __call__(self) -> datetime:
        """The time."""
        return self._start + timedelta(seconds=(self._monotonic() - self._since) * self._speed)

    @property
    def now_ms(self) -> int:
        """The time in milliseconds since 1970."""
        return to_ms(self())

    @property
    def speed(self) -> float:
        """Seconds of this clock per second."""
        return self._speed

    def set(self, *, now: datetime | None = None, speed: float | None = None) -> None:
        """Continue from `now`, `speed` times as fast as real time; what is None stays."""
        self._start = self() if now is None else now
        self._since = self._monotonic()
        self._speed = self._speed if speed is None else speed

    async def sleep(self, seconds: float) -> None:
        """Wait by this clock."""
        await asyncio.sleep(seconds / self._speed)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer when nothing else is left to run.

    Timeouts and sleeps of asyncio follow it, and months pass in seconds. What goes to a thread elsewhere runs at once: its time does not
    move meanwhile. Sockets are read, but time does not wait for them: it is
    made for in-process transports.
    """

    def __init__(self) -> None:
        self._virtual_s = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Seconds since the loop was made, in virtual time."""
        return self._virtual_s

    def jump(self, seconds: float) -> None:
        """Move the time forward."""
        self._virtual_s += seconds

    def run_in_executor(self, _executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # noqa: ANN401
        """Run the function now; what it returns or raises is the future's."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # as a future of a thread has it
            future.set_exception(error)
        return future


class _JumpingSelector(selectors.DefaultSelector):
    """Looks at sockets without waiting; in place of the wait, the loop's time jumps."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout is None or timeout <= 0:
            return ready or (super().select(None) if timeout is None else [])
        self._loop.jump(timeout)
        return []


def run_in_virtual_time(make_main: Callable[[AdjustableClock], Coroutine[Any, Any, T]], start: datetime) -> T:
    """Run a program with a clock that begins at `start`, on a loop on which waiting takes no time.

    `clock()` and `clock.sleep(seconds)` are the clock that programs take as an argument; `asyncio.sleep` and timeouts agree with it.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        clock = AdjustableClock(start, monotonic=runner.get_loop().time)
        return runner.run(make_main(clock))


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_ms(epoch_ms: int) -> datetime:
    """The time (UTC) of milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=epoch_ms)
