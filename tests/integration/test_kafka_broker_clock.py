"""A broker whose clock jumps: each record is stored or rejected once, and what retention then deletes unread is named.

The records' times come from the broker (LogAppendTime), so they jump back and forth in the log.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deltalake import DeltaTable
from tests.integration.kafka_cases import RunningSink, delete_topics, make_plays, open_kafka, open_lake, read_ids, stored_ids, wait_until
from tests.integration.kafka_producers import configure_topic
from tests.java_start import list_java_options
from tests.servers import QUICK_RETENTION, run

from soundlake.contract import TOPICS
from soundlake.contract.topics import PLAYS
from soundlake.errors import OffsetGap
from soundlake.operations.servers import KafkaServer, find_free_block
from soundlake.reconciliation.log_vs_bronze import check_log
from soundlake.settings import KafkaAccess
from soundlake.sink import Sink, SinkLimits
from soundlake.streaming.deployment import StreamLimits, StreamLocations, make_kafka_options

SOURCE = Path(__file__).parent / "clock_shift.c"
DAY_SECONDS = 86_400
WEEK_MS = 7 * DAY_SECONDS * 1_000


class ShiftedKafkaServer(KafkaServer):
    """A broker whose clock is ahead by the seconds in a file of its folder."""

    @property
    def environment(self) -> dict[str, str]:
        """With the library that shifts the clock, for the broker and nothing else."""
        shifted = {"LD_PRELOAD": str(self.folder / "clock_shift.so"), "CLOCK_SHIFT_FILE": str(self.folder / "clock_shift")}
        return super().environment | shifted

    def shift(self, days: float) -> None:
        """Set the clock to the true time plus these days; in place, since the broker has mapped the file."""
        with (self.folder / "clock_shift").open("r+b") as file:
            file.write(struct.pack("=q", int(days * DAY_SECONDS)))


@pytest.fixture(scope="module")
def server(kafka_jars, tmp_path_factory) -> Iterator[ShiftedKafkaServer]:
    """The broker; skips the tests where there is no C compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc: the tests of a broker's clock are skipped")
    folder = tmp_path_factory.mktemp("shifted")
    (folder / "clock_shift").write_bytes(bytes(8))
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", folder / "clock_shift.so", SOURCE], check=True)
    server = ShiftedKafkaServer(folder, find_free_block(), kafka_jars, QUICK_RETENTION, java_options=list_java_options(kafka_jars))
    with contextmanager(run)(server, folder):
        yield server


@pytest.fixture
def set_clock(server) -> Iterator[Callable[[float], None]]:
    """Shifts the broker's clock by days; it is right again after the test."""
    yield server.shift
    server.shift(0)


@pytest.fixture
def access(server) -> KafkaAccess:
    """The broker, with an empty topic of each kind."""
    access = KafkaAccess(server.address)
    delete_topics(access)
    with open_kafka(access) as creator:
        creator.create_topics(TOPICS, partitions=1)
    return access


@pytest.fixture
def broker(access):
    """A client of it."""
    with open_kafka(access, answer_seconds=5.0) as broker:
        yield broker


JUMPS = ((0, 0), (10, 2), (20, -2), (30, 0))
"""Where in the log the clock is set, and to how many days ahead."""


def test_a_clock_that_jumps_under_a_live_sink_loses_and_doubles_nothing(access, broker, set_clock, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(40)
    stored: list[bytes] = []
    with RunningSink(access, lake) as sink:
        for place, days in JUMPS:
            set_clock(days)
            broker.append(PLAYS.name, keys[place : place + 10], values[place : place + 10])
            stored += values[place : place + 10] if days >= 0 else []
            sink.await_ids(read_ids(stored))
    assert sink.error is None
    times = broker.fetch(PLAYS.name, 0, 0, max_records=100, max_bytes=1 << 20).timestamps_ms.to_pylist()
    assert [round((time - times[0]) / DAY_SECONDS / 1_000) for time in times] == [0] * 10 + [2] * 10 + [-2] * 10 + [0] * 10
    rejected = lake.read("rejected", ["reason", "_offset"])
    assert set(rejected["reason"].to_pylist()) == {"played_at_out_of_range"}  # to that clock these plays are in the future
    assert sorted(rejected["_offset"].to_pylist()) == list(range(20, 30))
    checks = {check.name: check for check in check_log(broker, lake)}
    assert all(check.ok for check in checks.values()), checks
    assert checks["user_plays: log = bronze + rejected"].parts == {"bronze": 30, "rejected": 10}


def test_spark_processes_what_was_logged_while_the_clock_jumped(access, broker, set_clock, tmp_path, spark):
    from soundlake.streaming.job import StreamJob

    keys, values = make_plays(40)
    for place, days in JUMPS:
        set_clock(days)
        broker.append(PLAYS.name, keys[place : place + 10], values[place : place + 10])
    folders = (f"file://{tmp_path}/{name}" for name in ("processed", "silver", "checkpoints"))
    job = StreamJob(spark, StreamLocations(make_kafka_options(access), *folders), StreamLimits())
    job.run(["processed"], stop=threading.Event(), until_drained=True)
    plays, refused = (DeltaTable(str(tmp_path / "processed" / name)).to_pyarrow_table() for name in ("plays", "quarantine"))
    assert sorted(plays["event_id"].to_pylist()) == sorted(read_ids(values[:20] + values[30:]))
    assert sorted(zip(refused["_offset"].to_pylist(), refused["reason"].to_pylist(), strict=True)) == [
        (offset, "played_at_out_of_range") for offset in range(20, 30)
    ]


def test_a_jump_beyond_the_retention_deletes_unread_records_and_the_gap_is_named(access, broker, set_clock, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(30)
    sink = Sink(broker, lake, SinkLimits(), topics=[PLAYS])
    configure_topic(access, PLAYS.name, retention_ms=WEEK_MS)
    broker.append(PLAYS.name, keys[:10], values[:10])
    sink.run(until_drained=True)
    broker.append(PLAYS.name, keys[10:20], values[10:20])
    set_clock(8)
    wait_until(lambda: broker.offsets(PLAYS.name)[0].begin == 20)
    set_clock(0)
    broker.append(PLAYS.name, keys[20:], values[20:])
    with pytest.raises(OffsetGap) as caught:
        Sink(broker, lake, SinkLimits(), topics=[PLAYS]).run(until_drained=True, retry_seconds=20)
    assert (caught.value.expected, caught.value.first_available) == (10, 20)
    assert sorted(stored_ids(lake)) == sorted(read_ids(values[:10]))
