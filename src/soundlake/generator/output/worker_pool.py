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
from soundlake.generator.model.world import Chunk, World
from soundlake.generator.output.tally import EventCounts
from soundlake.generator.output.writers import ChunkWriter, count_bytes

ROWS_PER_MESSAGE = 32_768
"""A table goes from a process to the one that writes it in messages of so many rows: small ones lie in memory that is used again."""

_STOPPING_SECONDS = 5.0


def make_tables(world: World, chunks: Sequence[Chunk], processes: int = 1) -> Iterator[pa.Table]:
    """The events of each stretch in order, their texts coded."""
    if processes == 1:
        for chunk in chunks:
            yield world.make_events(chunk, as_dictionaries=True)
        return
    with _start_pool(world, None, processes) as pool:
        for number in range(len(chunks)):
            worker = pool.get_worker(number, chunks)
            events = worker.receive_table()
            pool.assign(number + processes, chunks)
            yield events


def write_chunks(world: World, chunks: Sequence[Chunk], chunk_writer: ChunkWriter, processes: int = 1) -> Iterator[EventCounts]:
    """Press each stretch into its place; what was pressed is counted, in order."""
    if processes == 1:
        yield from _write_chunks_here(world, chunks, chunk_writer)
        return
    offset = 0
    with _start_pool(world, chunk_writer, processes) as pool:
        for number in range(len(chunks)):
            worker = pool.get_worker(number, chunks)
            count, size = worker.receive_prepared()
            worker.send(offset)
            pool.assign(number + processes, chunks)
            offset += size
            if chunk_writer.is_sequential:
                worker.wait_until_placed()
            yield count
        pool.wait_until_placed()


def _write_chunks_here(world: World, chunks: Sequence[Chunk], chunk_writer: ChunkWriter) -> Iterator[EventCounts]:
    offset = 0
    for number, chunk in enumerate(chunks):
        events = world.make_events(chunk, as_dictionaries=True)
        offset += chunk_writer.place(chunk_writer.prepare(number, events), offset)
        yield EventCounts.of(events)


class _Worker:
    """One process, seen from the one that gives it work."""

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self.process, self.connection = process, connection
        self._is_placing = False

    def receive_table(self) -> pa.Table:
        """The next table. Raises what the process met, and Unavailable if it is gone; so do the others."""
        rows = cast("int", self._read())
        with self._detecting_exit():
            return receive_table_over(self.connection, rows)

    def send(self, message: object) -> None:
        """Tell it something. Raises Unavailable if it is gone."""
        with self._detecting_exit():
            self.connection.send(message)

    def receive_prepared(self) -> tuple[EventCounts, int]:
        """How many events wait for their place, and how many bytes they are."""
        self.wait_until_placed()
        count, size = self._read(), self._read()
        self._is_placing = True
        return cast("EventCounts", count), cast("int", size)

    def wait_until_placed(self) -> None:
        """Wait until what it made last stands in its place."""
        if self._is_placing:
            self._is_placing = False
            self._read()

    def _read(self) -> object:
        with self._detecting_exit():
            answer = self.connection.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @contextmanager
    def _detecting_exit(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError, pa.ArrowInvalid) as cause:  # between two messages, within one, or when told something
            self.process.join(_STOPPING_SECONDS)
            raise Unavailable(
                f"a process that made events is gone (exit code {self.process.exitcode})", next_step="run again with fewer --processes"
            ) from cause


class _WorkerPool:
    """Workers that take turns: stretch number n is made by worker n modulo their number."""

    def __init__(self, workers: list[_Worker]) -> None:
        self._workers = workers

    def get_worker(self, number: int, chunks: Sequence[Chunk]) -> _Worker:
        """The worker of that stretch; the first time all get their first one."""
        if number == 0:
            for first in range(len(self._workers)):
                self.assign(first, chunks)
        return self._workers[number % len(self._workers)]

    def assign(self, number: int, chunks: Sequence[Chunk]) -> None:
        """Give the stretch to its worker, if there is such a stretch."""
        if number < len(chunks):
            self._workers[number % len(self._workers)].send((number, chunks[number]))

    def wait_until_placed(self) -> None:
        """Wait for all."""
        for worker in self._workers:
            worker.wait_until_placed()


@contextmanager
def _start_pool(world: World, chunk_writer: ChunkWriter | None, processes: int) -> Iterator[_WorkerPool]:
    """Fresh processes (spawned: what runs here in threads does not survive a fork), ended with the block."""
    workers: list[_Worker] = []
    try:
        for _ in range(processes):
            workers.append(_start_worker(world, chunk_writer))  # noqa: PERF401  # one by one: those that run are ended even if the next cannot start
        yield _WorkerPool(workers)
    finally:
        for worker in workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in workers:
            worker.process.join(_STOPPING_SECONDS)


def _start_worker(world: World, chunk_writer: ChunkWriter | None) -> _Worker:
    """Start a process. Ctrl-C is for the one that gives the work, from the first moment on: it ends the others."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run_worker, args=(theirs, world, chunk_writer), daemon=True)
    resource_tracker.ensure_running()  # here, since starting it would lift the mask
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a process begins with the mask of the one that starts it
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    theirs.close()
    return _Worker(process, ours)


def _run_worker(connection: Connection, world: World, chunk_writer: ChunkWriter | None) -> None:
    """Make what is asked for until the other side is gone."""
    pa.set_cpu_count(1)
    try:
        while True:
            number, chunk = connection.recv()
            events = world.make_events(chunk, as_dictionaries=True)
            if chunk_writer is None:
                send_table(connection, events)
            else:
                blocks = list(chunk_writer.prepare(number, events))
                connection.send(EventCounts.of(events))
                connection.send(count_bytes(blocks))
                chunk_writer.place(blocks, connection.recv())
                connection.send(None)
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001  # the edge of a process: whatever went wrong is told to the one that waits
        connection.send(error)


def send_table(connection: Connection, events: pa.Table) -> None:
    """How many rows, then a stream of Arrow, straight into the connection: as a whole in memory it would cost a fifth of its making."""
    connection.send(len(events))
    with open(connection.fileno(), "wb", closefd=False) as file, pa.ipc.new_stream(file, events.schema) as writer:
        writer.write_table(events, max_chunksize=ROWS_PER_MESSAGE)


def receive_table_over(connection: Connection, rows: int) -> pa.Table:
    """What `send_table` sent. Raises EOFError or ArrowInvalid if it ends before; the other side is silent until it is told to go on."""
    with open(connection.fileno(), "rb", closefd=False) as file:
        table = pa.ipc.open_stream(file).read_all()
    if len(table) < rows:  # to Arrow an end between two messages is one like any other
        raise EOFError
    return table
