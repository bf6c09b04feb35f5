"""The lake in a real S3 store keeps the same guarantees as in a folder, also when the store is killed."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from tests.integration.campaign_truth import TABLES
from tests.integration.kill_campaign import assert_exactly_once, drain, prepare, publish_backlog, start_driver
from tests.integration.sink_driver import open_broker, open_lake
from tests.warehouse_builder import BronzeBuilder
from tests.warehouse_cases import Listening
from tests.warehouse_tables import digest_tables

from soundlake.contract import BRONZE_SCHEMA
from soundlake.errors import SettingsError, Unavailable
from soundlake.lake import NO_POSITION, Lake, PositionMove, make_position_app_id
from soundlake.lake.object_store import open_store
from soundlake.settings import Address
from soundlake.warehouse import Warehouse

APP_ID = make_position_app_id("log", "user_plays", 0)
ROWS = pa.schema([field for field in BRONZE_SCHEMA if field.name != "_batch"])
HOUR = datetime(2026, 2, 28, 23, tzinfo=UTC)
BUCKET = "s3://spotify-data-lake"


@pytest.fixture
def root(object_store, tmp_path) -> str:
    return f"s3://spotify-data-lake/{tmp_path.name}"


@pytest.fixture
def lake(object_store, root) -> Lake:
    lake = Lake(Address(root, "s3"), object_store.server.storage_options)
    lake.ensure_tables()
    return lake


def append(lake: Lake, offset: int, *moments: datetime) -> None:
    rows = [{"event_id": f"{offset}-{moment}", "played_at": moment, "_partition": 0, "_offset": offset} for moment in moments]
    lake.open_table("plays").append(pa.Table.from_pylist(rows, schema=ROWS), [PositionMove(APP_ID, offset - 1, offset)])


def read_ids(lake: Lake) -> list[str]:
    return sorted(lake.read("plays", ["event_id"])["event_id"].to_pylist())


def test_rows_and_position_are_visible_together_and_past_hours_become_one_file(lake):
    assert lake.open_table("plays").read_position(APP_ID) == NO_POSITION
    for offset in range(4):
        append(lake, offset, HOUR, HOUR + timedelta(hours=1, minutes=59))
    before = read_ids(lake)
    done = next(table for table in lake.compact(HOUR + timedelta(days=1), vacuum_retention_hours=0) if table.table == "plays")
    assert (done.files_before, done.files_after, done.files_deleted) == (8, 2, 8)
    assert read_ids(lake) == before
    assert lake.open_table("plays").read_position(APP_ID) == 3
    folders = {
        uri.split("bronze/plays/")[1].rsplit("/", 1)[0]
        for uri in DeltaTable(lake.find_uri("plays"), storage_options=lake.storage_options).file_uris()
    }
    assert folders == {"year=2026/month=02/day=28/hour=23", "year=2026/month=03/day=01/hour=00"}


def test_two_writers_of_two_partitions_lose_nothing(lake):
    def write(partition: int) -> None:
        app_id, table = make_position_app_id("log", "user_plays", partition), lake.open_table("plays")
        for offset in range(15):
            row = {"event_id": f"{partition}-{offset}", "played_at": HOUR, "_partition": partition, "_offset": offset}
            table.append(pa.Table.from_pylist([row], schema=ROWS), [PositionMove(app_id, offset - 1, offset)])

    writers = [threading.Thread(target=write, args=(partition,)) for partition in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert read_ids(lake) == sorted(f"{partition}-{offset}" for partition in range(2) for offset in range(15))
    assert sorted(lake.read("plays", ["_batch"])["_batch"].to_pylist()) == list(range(1, 31))


@pytest.mark.parametrize(
    ("root_of", "changes", "kind", "message"),
    [
        ("s3://no-such-bucket", {}, SettingsError, "there is no such bucket\n→ .*SOUNDLAKE_LAKE"),
        (BUCKET, {"AWS_SECRET_ACCESS_KEY": "wrong"}, SettingsError, "does not accept these keys\n→ correct AWS_SECRET_ACCESS_KEY"),
        (BUCKET, {"AWS_ACCESS_KEY_ID": "stranger"}, SettingsError, "does not know this access key\n→ correct AWS_ACCESS_KEY_ID"),
        (BUCKET, {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, SettingsError, "there are no keys.*\n→ set AWS_ACCESS_KEY_ID and"),
        (BUCKET, {"AWS_ALLOW_HTTP": "false"}, SettingsError, "its endpoint is http://\n→ set AWS_ALLOW_HTTP=true"),
        (BUCKET, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, Unavailable, "the store does not answer\n→ start it"),
    ],
    ids=["missing bucket", "wrong secret", "unknown key", "no keys", "http not allowed", "no server"],
)
def test_an_unusable_bucket_is_reported_with_the_next_step(object_store, root_of, changes, kind, message):
    options = {name: value for name, value in {**object_store.server.storage_options, **changes}.items() if value}
    with pytest.raises(kind, match=f"{root_of}.*{message}"):
        Lake(Address(root_of, "s3"), options).ensure_tables()


@pytest.fixture
def campaign(tmp_path, object_store, root) -> Path:
    (tmp_path / "bucket.json").write_text(json.dumps({"uri": root, "storage_options": object_store.server.storage_options}))
    return tmp_path


@pytest.mark.parametrize("point", [("files_written", "2"), ("events_committed", "1")], ids="-".join)
def test_a_sink_in_a_bucket_killed_at_a_checkpoint_resumes_where_bronze_ends(campaign, point):
    truth = prepare(campaign)
    publish_backlog(campaign, truth, seed=7, count=150)
    killed = start_driver(campaign, "--kill-at", *point)
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    drain(campaign)
    assert_exactly_once(campaign, truth)


def test_sink_and_store_killed_at_random_lose_and_duplicate_nothing(campaign, object_store):
    truth, rng, ended = prepare(campaign), random.Random(20261122), threading.Event()

    def produce() -> None:
        broker, producer_rng = open_broker(campaign), random.Random(1)
        while not ended.wait(0.1):
            truth.publish(broker, producer_rng, producer_rng.choice(list(TABLES)), producer_rng.choice((1, 20, 150)), datetime.now(UTC))
        broker.close()

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        for round_number in range(6):
            sink = start_driver(campaign, "--endless")
            time.sleep(rng.uniform(0.5, 2.5))
            if round_number % 2:
                object_store.kill()
                time.sleep(rng.uniform(0, 1.5))
                object_store.start()
                time.sleep(rng.uniform(0, 1.5))
            sink.kill()
            sink.communicate(timeout=60)
    finally:
        ended.set()
        producer.join()
    drain(campaign)
    assert_exactly_once(campaign, truth)


def test_compaction_runs_beside_a_sink(campaign):
    truth = prepare(campaign)
    publish_backlog(campaign, truth, seed=3, count=300)
    sink, lake = start_driver(campaign, "--endless"), open_lake(campaign)
    try:
        for seed in range(4, 8):
            publish_backlog(campaign, truth, seed=seed, count=60)
            lake.compact(datetime.now(UTC) + timedelta(days=2), vacuum_retention_hours=1)
            time.sleep(0.5)
    finally:
        sink.kill()
        sink.communicate(timeout=60)
    drain(campaign)
    assert_exactly_once(campaign, truth)


@pytest.fixture
def make_warehouse(tmp_path):
    opened: list[Warehouse] = []

    def make(name: str, lake: object) -> Warehouse:
        opened.append(Warehouse(tmp_path / name, lake, memory_limit="1GB"))
        return opened[-1]

    yield make
    for warehouse in opened:
        warehouse.close()


def upload(folder: Path, lake: Lake, root: str) -> None:
    """Copy a folder's files to the same names below that address, the Delta log last."""
    store = open_store(root, lake.storage_options)
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: "_delta_log" in path.parts):
        obstore.put(store, path.relative_to(folder).as_posix(), path.read_bytes())


def test_the_warehouse_is_the_same_for_bronze_in_a_folder_and_in_a_bucket(tmp_path, object_store, root, make_warehouse: Callable):
    bronze = BronzeBuilder(tmp_path / "lake")
    bucket = Lake(Address(root, "s3"), object_store.server.storage_options)
    in_folder, in_bucket = make_warehouse("folder", bronze), make_warehouse("bucket", bucket)
    for placed in Listening(5).split(2):
        bronze.append_placed(placed)
        upload(tmp_path / "lake" / "bronze", bucket, f"{root}/bronze")
        in_folder.transform()
        report = in_bucket.transform()
    assert not report.is_full_refresh
    assert digest_tables(in_bucket.folder) == digest_tables(in_folder.folder)
    copied = DeltaTable(f"{root}/silver/silver_plays", storage_options=bucket.storage_options)
    assert copied.to_pyarrow_table().num_rows == report.rows["silver_plays"]
    secret = object_store.server.keys.secret_key.encode()
    assert [path for path in in_bucket.folder.rglob("*") if path.is_file() and secret in path.read_bytes()] == []
