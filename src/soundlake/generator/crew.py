"""The stretches of a world made by several processes side by side: the same ones, in the same order, as one process makes them."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import cast

import pyarrow as pa

from soundlake.errors import Unavailable
from soundlake.generator.presses import Press, measure
from soundlake.generator.tally import Count
from soundlake.generator.world import Stretch, World

ROWS_A_MESSAGE = 32_768
"""A table goes from a process to the one that writes it in messages of so many rows: small ones lie in memory that is used again."""

_STOPPING_SECONDS = 5.0


def make_tables(world: World, stretches: Sequence[Stretch], processes: int = 1) -> Iterator[pa.Table]:
    """The events of each stretch in order, their texts coded."""
    if processes == 1:
        for stretch in stretches:
            yield world.make_events(stretch, is_coded=True)
        return
    with _gather_crew(world, None, processes) as crew:
        for number in range(len(stretches)):
            worker = crew.ask(number, stretches)
            events = worker.receive_table()
            crew.hand_out(number + processes, stretches)
            yield events


def press_stretches(world: World, stretches: Sequence[Stretch], press: Press, processes: int = 1) -> Iterator[Count]:
    """Press each stretch into its place; what was pressed is counted, in order."""
    if processes == 1:
        yield from _press_alone(world, stretches, press)
        return
    offset = 0
    with _gather_crew(world, press, processes) as crew:
        for number in range(len(stretches)):
            worker = crew.ask(number, stretches)
            count, size = worker.receive_pressed()
            worker.send(offset)
            crew.hand_out(number + processes, stretches)
            offset += size
            if press.is_stream:
                worker.await_placing()
            yield count
        crew.await_placing()


def _press_alone(world: World, stretches: Sequence[Stretch], press: Press) -> Iterator[Count]:
    offset = 0
    for number, stretch in enumerate(stretches):
        events = world.make_events(stretch, is_coded=True)
        offset += press.place(press.prepare(number, events), offset)
        yield Count.of(events)


class _Worker:
    """One process, seen from the one that gives it work."""

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self.process, self.connection = process, connection
        self._is_placing = False

    def receive_table(self) -> pa.Table:
        """The next table. Raises what the process met, and Unavailable if it is gone; so do the others."""
        rows = cast("int", self._read())
        with self._noticing_its_end():
            return receive_table_from(self.connection, rows)

    def send(self, message: object) -> None:
        """Tell it something. Raises Unavailable if it is gone."""
        with self._noticing_its_end():
            self.connection.send(message)

    def receive_pressed(self) -> tuple[Count, int]:
        """How many events wait for their place, and how many bytes they are."""
        self.await_placing()
        count, size = self._read(), self._read()
        self._is_placing = True
        return cast("Count", count), cast("int", size)

    def await_placing(self) -> None:
        """Wait until what it made last stands in its place."""
        if self._is_placing:
            self._is_placing = False
            self._read()

    def _read(self) -> object:
        with self._noticing_its_end():
            answer = self.connection.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @contextmanager
    def _noticing_its_end(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError, pa.ArrowInvalid) as cause:  # between two messages, within one, or when told something
            self.process.join(_STOPPING_SECONDS)
            raise Unavailable(
                f"a process that made events is gone (exit code {self.process.exitcode})", next_step="run again with fewer --processes"
            ) from cause


class _Crew:
    """Workers that take turns: stretch number n is made by worker n modulo their number."""

    def __init__(self, workers: list[_Worker]) -> None:
        self._workers = workers

    def ask(self, number: int, stretches: Sequence[Stretch]) -> _Worker:
        """The worker of that stretch; the first time all get their first one."""
        if number == 0:
            for first in range(len(self._workers)):
                self.hand_out(first, stretches)
        return self._workers[number % len(self._workers)]

    def hand_out(self, number: int, stretches: Sequence[Stretch]) -> None:
        """Give the stretch to its worker, if there is such a stretch."""
        if number < len(stretches):
            self._workers[number % len(self._workers)].send((number, stretches[number]))

    def await_placing(self) -> None:
        """Wait for all."""
        for worker in self._workers:
            worker.await_placing()


@contextmanager
def _gather_crew(world: World, press: Press | None, processes: int) -> Iterator[_Crew]:
    """Fresh processes (spawned: what runs here in threads does not survive a fork), ended with the block."""
    workers: list[_Worker] = []
    try:
        for _ in range(processes):
            workers.append(_hire(world, press))  # noqa: PERF401  # one by one: those that run are ended even if the next cannot start
        yield _Crew(workers)
    finally:
        for worker in workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in workers:
            worker.process.join(_STOPPING_SECONDS)


def _hire(world: World, press: Press | None) -> _Worker:
    """Start a process. Ctrl-C is for the one that gives the work, from the first moment on: it ends the others."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, world, press), daemon=True)
    resource_tracker.ensure_running()  # here, since starting it would lift the mask
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a process begins with the mask of the one that starts it
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    theirs.close()
    return _Worker(process, ours)


def _work(connection: Connection, world: World, press: Press | None) -> None:
    """Make what is asked for until the other side is gone."""
    pa.set_cpu_count(1)
    try:
        while True:
            number, stretch = connection.recv()
            events = world.make_events(stretch, is_coded=True)
            if press is None:
                send_table(connection, events)
            else:
                blocks = list(press.prepare(number, events))
                connection.send(Count.of(events))
                connection.send(measure(blocks))
                press.place(blocks, connection.recv())
                connection.send(None)
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001  # the edge of a process: whatever went wrong is told to the one that waits
        connection.send(error)


def send_table(connection: Connection, events: pa.Table) -> None:
    """How many rows, then a stream of Arrow, straight into the connection: as a whole in memory it would cost a fifth of its making."""
    connection.send(len(events))
    with open(connection.fileno(), "wb", closefd=False) as file, pa.ipc.new_stream(file, events.schema) as writer:
        writer.write_table(events, max_chunksize=ROWS_A_MESSAGE)


def receive_table_from(connection: Connection, rows: int) -> pa.Table:
    """What `send_table` sent. Raises EOFError or ArrowInvalid if it ends before; the other side is silent until it is told to go on."""
    with open(connection.fileno(), "rb", closefd=False) as file:
        table = pa.ipc.open_stream(file).read_all()
    if len(table) < rows:  # to Arrow an end between two messages is one like any other
        raise EOFError
    return table
