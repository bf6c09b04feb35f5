"""Several processes generate the same bytes as one process, and end with the run."""

import gzip
import hashlib
import multiprocessing
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from soundlake.contract import EVENT_SCHEMA
from soundlake.contract.encode import encode_events
from soundlake.errors import Unavailable
from soundlake.generator import GeneratorConfig, World, make_world
from soundlake.generator.model.world import Chunk
from soundlake.generator.output.event_files import EventFile, EventFolder
from soundlake.generator.output.worker_pool import ROWS_PER_MESSAGE, make_tables, receive_table, write_chunks
from soundlake.generator.output.writers import ChunkFileWriter


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(GeneratorConfig(listeners=60, days=10, seed=5, start=date(2026, 3, 25), tracks=800))


@pytest.fixture(scope="module")
def chunks(world) -> list[Chunk]:
    whole = world.list_chunks()[0]
    return [replace(whole, first_day=whole.first_day + day, days=2) for day in range(0, 10, 2)]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(world, chunks, path: Path, processes: int) -> Path:
    with EventFolder(f"{path}/") if path.suffix == "" else EventFile(str(path)) as writer:
        if writer.chunk_writer is None:
            for events in make_tables(world, chunks, processes):
                writer.write(events)
        else:
            assert len(list(write_chunks(world, chunks, writer.chunk_writer, processes))) == len(chunks)
    return path


def test_every_output_is_the_same_from_one_process_and_from_several(world, chunks, tmp_path):
    made = {}
    for processes in (1, 2, 3):
        folder = tmp_path / str(processes)
        folder.mkdir()
        for name in ("events.ndjson", "events.ndjson.gz", "events.parquet", "events") if processes < 3 else ("events.ndjson",):
            write(world, chunks, folder / name, processes)
        made[processes] = {str(path.relative_to(folder)): digest(path) for path in sorted(folder.rglob("*.*"))}
    assert len(made[1]) == 3 + len(chunks)
    assert made[1] == made[2] == made[1] | made[3]
    lines = (tmp_path / "1" / "events.ndjson").read_bytes()
    read = pq.read_table(tmp_path / "1" / "events.parquet")
    assert lines == b"\n".join(encode_events(read)) + b"\n" == gzip.decompress((tmp_path / "1" / "events.ndjson.gz").read_bytes())
    assert pa.concat_tables(make_tables(world, chunks, 2)).cast(EVENT_SCHEMA).combine_chunks().equals(read.combine_chunks())


def test_a_chunk_larger_than_a_message_gives_the_same_bytes(tmp_path):
    world = make_world(GeneratorConfig(listeners=3_000, days=3, seed=6))
    chunks = world.list_chunks()
    rows = {len(events) for events in make_tables(world, chunks)}
    assert max(rows) > ROWS_PER_MESSAGE
    made = [write(world, chunks, tmp_path / f"of-{processes}.parquet", processes) for processes in (1, 2)]
    assert digest(made[0]) == digest(made[1])


def test_an_error_in_a_worker_is_raised_and_no_process_remains(world, chunks, tmp_path):
    chunk_writer = ChunkFileWriter(tmp_path / "gone", ".parquet")
    with pytest.raises(FileNotFoundError, match="gone"):
        list(write_chunks(world, chunks, chunk_writer, 2))
    assert multiprocessing.active_children() == []


def test_a_killed_worker_is_reported(world, chunks):
    tables = make_tables(world, chunks * 20, 2)
    next(tables)
    for process in multiprocessing.active_children():
        os.kill(process.pid, 9)
    with pytest.raises(Unavailable, match=r"exit code -9.*\n.*--processes"):
        list(tables)
    assert multiprocessing.active_children() == []


def test_a_table_that_ends_between_two_messages_is_an_error():
    ours, theirs = multiprocessing.Pipe()
    with open(theirs.fileno(), "wb", closefd=False) as file:
        writer = pa.ipc.new_stream(file, pa.schema([("number", pa.int64())]))
        writer.write_table(pa.table({"number": [1, 2]}))
    theirs.close()
    with pytest.raises(EOFError):
        receive_table(ours, 3)


def test_an_abandoned_run_leaves_no_process(world, chunks):
    tables = make_tables(world, chunks * 20, 2)
    next(tables)
    tables.close()
    assert multiprocessing.active_children() == []
