import hashlib
import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from soundlake.broker.account import PublishAccount
from soundlake.broker.memory import MemoryBroker
from soundlake.broker.protocol import Delivery
from soundlake.broker.publisher import Publisher
from soundlake.contract import HISTORY, TOPICS
from soundlake.contract.decode import decode_records
from soundlake.errors import UsageError
from soundlake.generator import make_world
from soundlake.generator.export_files import ExportFolders
from soundlake.generator.faults import PROFILES
from soundlake.generator.files import EventFile
from soundlake.generator.planning import plan_run
from soundlake.generator.runs import Outlet, Time, publish_days, write_files
from soundlake.generator.truth import TruthFolder


def keep_quiet(done: int, total: int | None, words: str) -> None:
    """Show nothing."""


@pytest.fixture
def time():
    slept: list[float] = []
    return Time(monotonic=lambda: sum(slept), sleep=slept.append, now=lambda: datetime(2026, 4, 2, tzinfo=UTC))


@pytest.mark.parametrize("name", ["events.parquet", "events.ndjson", "events.ndjson.gz"])
def test_the_same_world_gives_the_same_bytes(vary, tmp_path, time, name):
    digests = set()
    for attempt in ("a", "b"):
        (tmp_path / attempt).mkdir()
        with EventFile(str(tmp_path / attempt / name)) as file:
            write_files(make_world(vary(listeners=12)), file, time, keep_quiet)
        digests.add(hashlib.sha256((tmp_path / attempt / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_parquet_file_holds_the_events(small_world, small_events, tmp_path, time):
    with EventFile(str(tmp_path / "events.parquet")) as file:
        tally = write_files(small_world, file, time, keep_quiet)
    assert tally.events == len(small_events)
    assert pq.read_table(tmp_path / "events.parquet").combine_chunks().equals(small_events.combine_chunks())


def test_an_interrupted_file_run_leaves_nothing_behind(small_events, tmp_path):
    def write_and_stop() -> None:
        with EventFile(str(tmp_path / "events.parquet")) as file:
            file.write(small_events)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["nowhere/at/all/events.parquet", "events.xml"])
def test_an_unwritable_target_fails_before_the_work(tmp_path, target):
    with pytest.raises(UsageError, match="--out"):
        EventFile(str(tmp_path / target))


def test_an_export_has_a_folder_a_listener_and_every_play(small_events, tmp_path):
    with ExportFolders(tmp_path / "exports") as folders:
        folders.write(small_events)
    plays = pl.from_arrow(small_events).filter(event_type="play")
    rows = {
        folder.name: [row for file in folder.iterdir() for row in json.loads(file.read_text())]
        for folder in (tmp_path / "exports").iterdir()
    }
    assert {name: len(part) for name, part in rows.items()} == dict(plays["user_id"].value_counts().iter_rows())
    assert sum(row["ms_played"] for part in rows.values() for row in part) == plays["ms_played"].sum()
    assert all(row["spotify_track_uri"].startswith("spotify:track:sl_") for part in rows.values() for row in part)


def test_an_export_is_not_written_over_other_things(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UsageError, match=r"mine\.txt"):
        ExportFolders(tmp_path)


def test_the_truth_is_what_was_published(small_world, tmp_path, time):
    broker = MemoryBroker()
    broker.create_topics(TOPICS, partitions=2)
    outlet = Outlet(Publisher(broker), TruthFolder(tmp_path, "run"))
    tally = publish_days(small_world, outlet, time, keep_quiet, faults=PROFILES["harsh"])
    truth = pq.read_table(sorted(tmp_path.glob("events*")))
    assert len(truth) == tally.acknowledged
    assert sorted(_read_ids(broker)) == sorted(truth["event_id"].to_pylist())
    broken = [json.loads(line)["sha256"] for line in next(tmp_path.glob("broken*")).read_text().splitlines()]
    assert len(set(broken)) == len(broken) == tally.broken > 0
    assert not list(tmp_path.glob("unsure*"))


def test_what_is_planted_stands_beside_the_truth(small_world, tmp_path):
    TruthFolder(tmp_path, "run").record_world(small_world)
    preferences = pl.read_parquet(tmp_path / "preferences-run.parquet")
    assert preferences.group_by("user_id").len()["len"].to_list() == [100] * 30
    assert pl.read_parquet(tmp_path / "listeners-run.parquet").height == 30


class Unreliable:
    """Acknowledges two rows of three, leaves a sixth unsure, refuses the others."""

    def publish(self, events: pa.Table) -> PublishAccount:
        row = np.arange(len(events))
        return PublishAccount(row % 3 < 2, row % 6 == 2, {"full": int((row % 6 == 5).sum())})

    def publish_raw(self, topic, keys, values) -> Delivery:
        return Delivery(len(values), {}, dict.fromkeys(range(len(values)), "gone"))


def test_events_are_acknowledged_unsure_or_nowhere(small_events, tmp_path):
    outlet = Outlet(Unreliable(), TruthFolder(tmp_path, "run"))
    outlet.publish(small_events.slice(0, 600))
    assert pq.read_metadata(next(tmp_path.glob("events*"))).num_rows == 400
    assert pq.read_metadata(next(tmp_path.glob("unsure*"))).num_rows == 100


def test_a_producer_that_dies_leaves_its_events_as_unsure(small_events, tmp_path):
    def die(events: pa.Table) -> PublishAccount:
        raise SystemExit

    with pytest.raises(SystemExit):
        TruthFolder(tmp_path, "run").publish(small_events, die)
    assert [path.name[:6] for path in tmp_path.glob("*.parquet")] == ["unsure"]


def test_a_plan_comes_near_what_is_told(vary, time):
    world = make_world(vary(listeners=100, days=200))
    plan = plan_run(world, time.monotonic)
    told = sum(len(world.make_events(stretch)) for stretch in world.list_stretches())
    assert plan["events"] == pytest.approx(told, rel=0.1)


def test_a_rate_is_kept(small_world, time):
    tally = publish_days(small_world, Outlet(Unreliable()), time, keep_quiet, rate=100)
    assert tally.seconds == pytest.approx(tally.events / 100, rel=0.02)


def _read_ids(broker: MemoryBroker) -> list[str]:
    values = []
    for topic in TOPICS:
        for partition, held in broker.offsets(topic.name).items():
            if held.end > held.begin:
                values += broker.fetch(topic.name, partition, held.begin, max_records=10**6, max_bytes=10**9).values.to_pylist()
    decoded = decode_records(HISTORY, pa.array(values, pa.binary()), pa.array([1_775_200_000_000] * len(values)))
    return decoded.events["event_id"].to_pylist()
