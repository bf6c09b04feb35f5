import gzip
import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.protocol import Delivery
from soundlake.broker.publish_report import PublishReport
from soundlake.broker.publisher import Publisher
from soundlake.contract import EVENT_SCHEMA, HISTORY, TOPICS
from soundlake.contract.decode import decode_records
from soundlake.errors import UsageError
from soundlake.generator import World, make_world
from soundlake.generator.output.destinations import BrokerDestination, FileDestination
from soundlake.generator.output.estimate import estimate_run
from soundlake.generator.output.event_files import EventFile, EventFolder
from soundlake.generator.output.fault_injection import PROFILES
from soundlake.generator.output.runs import Clock, RunOptions, publish_days, write_files
from soundlake.generator.output.truth import TruthFolder
from soundlake.generator.output.worker_pool import write_chunks


def show_nothing(done: int, total: int | None, text: str) -> None:
    """Show nothing."""


@pytest.fixture
def clock():
    slept: list[float] = []
    return Clock(monotonic=lambda: sum(slept), sleep=slept.append, now=lambda: datetime(2026, 4, 2, tzinfo=UTC))


@pytest.mark.parametrize("name", ["events.parquet", "events.ndjson", "events.ndjson.gz"])
def test_the_same_world_gives_the_same_bytes(vary, tmp_path, clock, name):
    digests = set()
    for attempt in ("a", "b"):
        (tmp_path / attempt).mkdir()
        with EventFile(str(tmp_path / attempt / name)) as file:
            write_files(make_world(vary(listeners=12)), FileDestination(file), clock, show_nothing)
        digests.add(hashlib.sha256((tmp_path / attempt / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_parquet_file_has_the_events(small_world, small_events, tmp_path, clock):
    with EventFile(str(tmp_path / "events.parquet")) as file:
        tally = write_files(small_world, FileDestination(file), clock, show_nothing)
    assert tally.events == len(small_events)
    assert pq.read_table(tmp_path / "events.parquet").combine_chunks().equals(small_events.combine_chunks())


def test_an_interrupted_run_leaves_no_file(small_events, tmp_path):
    def write_and_stop() -> None:
        with EventFile(str(tmp_path / "events.parquet")) as file:
            file.write(small_events)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["nowhere/at/all/events.parquet", "events.xml"])
def test_an_unwritable_target_fails_before_events_are_generated(tmp_path, target):
    with pytest.raises(UsageError, match="--out"), EventFile(str(tmp_path / target)):
        pytest.fail("the block must not run")


@pytest.fixture
def two_day_chunks(small_world):
    """Four chunks of two days each."""
    whole = small_world.list_chunks()[0]
    return [replace(whole, first_day=whole.first_day + day, days=2) for day in (0, 2, 4, 6)]


def test_a_folder_has_the_same_events_in_one_file_per_chunk(small_world, two_day_chunks, tmp_path):
    with EventFolder(str(tmp_path / "parts")) as folder:
        counts = list(write_chunks(small_world, two_day_chunks, folder.chunk_writer))
    files = sorted((tmp_path / "parts").iterdir())
    assert [path.name for path in files] == [f"events-{number:06d}.parquet" for number in range(4)]
    expected = [small_world.make_events(chunk) for chunk in two_day_chunks]
    assert [pq.read_table(path) for path in files] == expected
    assert [count.by_type.total() for count in counts] == [len(events) for events in expected]


def test_an_interrupted_run_into_a_folder_leaves_complete_files_only(small_world, two_day_chunks, tmp_path):
    def write_and_stop() -> None:
        with EventFolder(str(tmp_path / "parts"), ".ndjson") as folder:
            for number, _ in enumerate(write_chunks(small_world, two_day_chunks, folder.chunk_writer)):
                if number == 1:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    files = sorted((tmp_path / "parts").iterdir())
    assert [path.name for path in files] == ["events-000000.ndjson", "events-000001.ndjson"]
    assert all(json.loads(line)["event_id"] for path in files for line in path.read_bytes().splitlines())


def test_bytes_do_not_depend_on_the_size_of_the_tables(small_world, tmp_path):
    events, digests = small_world.make_events(small_world.list_chunks()[0], as_dictionaries=True), set()
    for rows in (777, 2_000, 10**9):
        with EventFile(str(tmp_path / "events.ndjson")) as file:
            for first in range(0, len(events), rows):
                file.write(events.slice(first, rows))
        digests.add(hashlib.sha256((tmp_path / "events.ndjson").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_limited_run_is_the_beginning_of_the_full_run(small_world, small_events, tmp_path, clock):
    with EventFile(str(tmp_path / "events.ndjson")) as file:
        tally = write_files(small_world, FileDestination(file), clock, show_nothing, RunOptions(events=500))
    written = [json.loads(line)["event_id"] for line in (tmp_path / "events.ndjson").read_bytes().splitlines()]
    assert written == small_events["event_id"].to_pylist()[:500]
    assert tally.events == 500


def test_a_limited_run_stops_at_the_chunk_that_completes_it(vary, tmp_path, clock):
    world, progress = make_world(vary(days=600)), []
    assert len(world.list_chunks()) == 3
    with EventFile(str(tmp_path / "events.ndjson")) as file:
        write_files(world, FileDestination(file), clock, lambda *step: progress.append(step[:2]), RunOptions(events=500))
    assert progress == [(500, 500)]


@pytest.mark.parametrize("name", ["events.parquet", "events.ndjson", "events.ndjson.gz"])
def test_without_events_the_file_is_valid_and_empty(tmp_path, name):
    with EventFile(str(tmp_path / name)):
        pass
    read = {
        "events.parquet": lambda path: pq.read_table(path).to_pylist(),
        "events.ndjson": lambda path: path.read_bytes().splitlines(),
        "events.ndjson.gz": lambda path: gzip.decompress(path.read_bytes()).splitlines(),
    }
    assert read[name](tmp_path / name) == []


def test_the_truth_of_a_file_equals_its_content(small_world, tmp_path, clock):
    with EventFile(str(tmp_path / "events.ndjson")) as file:
        destination = FileDestination(file, TruthFolder(tmp_path / "truth", "run"))
        tally = write_files(small_world, destination, clock, show_nothing, RunOptions(faults=PROFILES["harsh"]))
    lines = (tmp_path / "events.ndjson").read_bytes().splitlines()
    broken = {json.loads(line)["sha256"] for line in next((tmp_path / "truth").glob("broken*")).read_text().splitlines()}
    good = [line for line in lines if hashlib.sha256(line).hexdigest() not in broken]
    truth = pq.read_table(sorted((tmp_path / "truth").glob("events*")))
    assert truth.schema.equals(EVENT_SCHEMA)
    assert [json.loads(line)["event_id"] for line in good] == truth["event_id"].to_pylist()
    assert len(lines) - len(good) == len(broken) == tally.broken > 0
    faults = pl.concat(pl.read_parquet(path) for path in (tmp_path / "truth").glob("faults*"))
    assert {"duplicate", "copy", "late", "disorder", "malformed", "unknown_fields"} <= set(faults["fault"])


def test_malformed_records_cannot_be_written_to_parquet(small_world, tmp_path, clock):
    with pytest.raises(UsageError, match="cannot be written to Parquet"), EventFile(str(tmp_path / "events.parquet")) as file:
        write_files(small_world, FileDestination(file), clock, show_nothing, RunOptions(faults=PROFILES["harsh"]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("processes", 0), ("processes", 10_000), ("events", 0)])
def test_an_invalid_run_option_is_an_error_with_its_name(name, value):
    with pytest.raises(UsageError, match=f"--{name} {value}.*\n.*from 1 to"):
        RunOptions(**{name: value})


def test_chunks_cover_all_days_of_all_listeners_once(vary):
    for config in (vary(listeners=3, days=6_000, start=date(2005, 1, 1)), vary(listeners=20_000, days=3)):
        chunks = World(config, None).list_chunks()
        covered = [
            (day, block)
            for chunk in chunks
            for day in range(chunk.first_day, chunk.first_day + chunk.days)
            for block in range(chunk.first_listener, chunk.first_listener + chunk.listeners)
        ]
        assert len(chunks) == len(list(chunks))
        assert len(set(covered)) == len(covered) == config.listeners * config.days


def test_the_chunks_of_ten_million_listeners_are_computed_on_access(vary):
    chunks = World(vary(listeners=10_000_000, days=3_650), None).list_chunks()
    assert len(chunks) == 1_221 * 3_650
    last = chunks[-1]
    assert (last.first_listener + last.listeners, last.days) == (10_000_000, 1)


def test_the_truth_is_what_was_acknowledged(small_world, tmp_path, clock):
    broker = MemoryBroker()
    broker.create_topics(TOPICS, partitions=2)
    destination = BrokerDestination(Publisher(broker), TruthFolder(tmp_path, "run"))
    tally = publish_days(small_world, destination, clock, show_nothing, RunOptions(faults=PROFILES["harsh"]))
    truth = pq.read_table(sorted(tmp_path.glob("events*")))
    assert len(truth) == tally.acknowledged
    assert sorted(_read_ids(broker)) == sorted(truth["event_id"].to_pylist())
    broken = [json.loads(line)["sha256"] for line in next(tmp_path.glob("broken*")).read_text().splitlines()]
    assert len(set(broken)) == len(broken) == tally.broken > 0
    assert not list(tmp_path.glob("unsure*"))


def test_the_truth_includes_listeners_and_preferences(small_world, tmp_path):
    TruthFolder(tmp_path, "run").record_world(small_world)
    preferences = pl.read_parquet(tmp_path / "preferences-run.parquet")
    assert preferences.group_by("user_id").len()["len"].to_list() == [100] * 30
    assert pl.read_parquet(tmp_path / "listeners-run.parquet").height == 30


class Unreliable:
    """Acknowledges two rows of three; of the others one half is unsure, one half fails."""

    def publish(self, events: pa.Table) -> PublishReport:
        row = np.arange(len(events))
        return PublishReport(row % 3 < 2, row % 6 == 2, {"full": int((row % 6 == 5).sum())})

    def publish_raw(self, topic, keys, values) -> Delivery:
        return Delivery(len(values), {}, dict.fromkeys(range(len(values)), "gone"))


def test_failed_events_are_not_in_the_truth(small_events, tmp_path):
    destination = BrokerDestination(Unreliable(), TruthFolder(tmp_path, "run"))
    destination.publish(small_events.slice(0, 600))
    assert pq.read_metadata(next(tmp_path.glob("events*"))).num_rows == 400
    assert pq.read_metadata(next(tmp_path.glob("unsure*"))).num_rows == 100


def test_a_killed_producer_leaves_its_events_as_unsure(small_events, tmp_path):
    def exit_at_once(events: pa.Table) -> PublishReport:
        raise SystemExit

    with pytest.raises(SystemExit):
        TruthFolder(tmp_path, "run").publish(small_events, exit_at_once)
    assert [path.name[:6] for path in tmp_path.glob("*.parquet")] == ["unsure"]


def test_an_estimate_is_close_to_the_real_number_of_events(vary, clock):
    world = make_world(vary(listeners=100, days=200))
    estimate = estimate_run(world, clock.monotonic)
    expected = sum(len(world.make_events(chunk)) for chunk in world.list_chunks())
    assert estimate["events"] == pytest.approx(expected, rel=0.1)


def test_a_rate_is_kept(small_world, clock):
    tally = publish_days(small_world, BrokerDestination(Unreliable()), clock, show_nothing, RunOptions(rate=100))
    assert tally.seconds == pytest.approx(tally.events / 100, rel=0.02)


def _read_ids(broker: MemoryBroker) -> list[str]:
    values = []
    for topic in TOPICS:
        for partition, held in broker.offsets(topic.name).items():
            if held.end > held.begin:
                values += broker.fetch(topic.name, partition, held.begin, max_records=10**6, max_bytes=10**9).values.to_pylist()
    decoded = decode_records(HISTORY, pa.array(values, pa.binary()), pa.array([1_775_200_000_000] * len(values)))
    return decoded.events["event_id"].to_pylist()
