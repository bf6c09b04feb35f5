"""The lake behind a bad connection: a commit whose response is lost is not repeated, and a rejected request is retried."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from tests.integration.campaign_truth import TABLES
from tests.integration.fault_proxy import FORBIDDEN, Faults, open_proxy
from tests.integration.kill_campaign import assert_exactly_once, prepare, publish_backlog
from tests.integration.sink_driver import open_broker, open_lake

from soundlake.contract import BRONZE_SCHEMA
from soundlake.errors import SettingsError, Unavailable
from soundlake.lake import Lake, PositionMove, make_position_app_id
from soundlake.reconciliation.log_vs_bronze import count_waiting
from soundlake.settings import Address

APP_ID = make_position_app_id("log", "user_plays", 0)
ROWS = pa.schema([field for field in BRONZE_SCHEMA if field.name != "_batch"])
BATCHES = 15


@pytest.fixture
def open_through(object_store, tmp_path):
    """Opens the same lake, directly or through another endpoint."""

    def open_lake(endpoint: str | None = None) -> Lake:
        options = object_store.server.storage_options
        return Lake(
            Address(f"s3://spotify-data-lake/{tmp_path.name}", "s3"), options | ({"AWS_ENDPOINT_URL": endpoint} if endpoint else {})
        )

    return open_lake


def append(lake: Lake, offset: int) -> None:
    """Append one row and retry as the sink does: read the position first."""
    table = lake.open_table("plays")
    row = {"event_id": str(offset), "played_at": datetime(2026, 3, 1, 12, tzinfo=UTC), "_partition": 0, "_offset": offset}
    for _ in range(30):
        try:
            if table.read_position(APP_ID) < offset:
                table.append(pa.Table.from_pylist([row], schema=ROWS), [PositionMove(APP_ID, offset - 1, offset)])
        except Unavailable:
            table.refresh()
        else:
            return
    pytest.fail(f"offset {offset} was never stored")


@pytest.mark.parametrize(
    ("faults", "fault"),
    [
        (Faults(lost_responses=0.2), "PUT lost_response"),
        (Faults(rejected=0.2), "PUT rejected"),
        (Faults(lost_responses=0.1, lost_requests=0.1, rejected=0.1), "PUT lost_response"),
    ],
    ids=["responses lost", "slow down", "all"],
)
def test_every_row_is_stored_once(open_through, object_store, faults, fault):
    direct_lake = open_through()
    direct_lake.ensure_tables()
    with open_proxy(object_store.server.port, faults) as proxy:
        lake = open_through(proxy.endpoint)
        for offset in range(BATCHES):
            append(lake, offset)
    assert proxy.counts[fault] > 0
    assert sorted(int(one) for one in direct_lake.read("plays", ["event_id"])["event_id"].to_pylist()) == list(range(BATCHES))
    assert direct_lake.open_table("plays").read_position(APP_ID) == BATCHES - 1


@pytest.mark.parametrize(
    ("faults", "kind", "message"),
    [
        (Faults(clock_ahead_seconds=1_000), Unavailable, "this machine's clock differs from the store's\n→ set the clock"),
        (Faults(clock_ahead_seconds=-1_000), Unavailable, "this machine's clock differs from the store's\n→ set the clock"),
        (Faults(rejected=1.0), Unavailable, "the store asks to slow down\n→ nothing is lost"),
        (Faults(rejected=1.0, rejection=FORBIDDEN), SettingsError, "these keys lack a permission there\n→ allow reading, writing"),
        (Faults(region="eu-west-1"), SettingsError, "the bucket is in another region\n→ correct AWS_REGION"),
    ],
    ids=["clock behind", "clock ahead", "always slow down", "forbidden", "region"],
)
def test_a_store_that_rejects_every_request_is_reported_with_the_next_step(open_through, object_store, faults, kind, message):
    with open_proxy(object_store.server.port, faults) as proxy, pytest.raises(kind, match=message):
        open_through(proxy.endpoint).ensure_tables()


@pytest.fixture
def run_sink(object_store, tmp_path):
    """Starts `soundlake sink` on the log and the lake of a campaign as a user does, with these settings changed."""

    def start(*options: str, **changes: str) -> subprocess.Popen[str]:
        settings = {
            **object_store.server.storage_options, "SOUNDLAKE_HOME": str(tmp_path / "home"), "SOUNDLAKE_SINK_MAX_SECONDS": "0.1",
            "SOUNDLAKE_SINK_MAX_EVENTS": "100", "SOUNDLAKE_BROKER": f"sqlite://{tmp_path / 'broker.db'}",
            "SOUNDLAKE_LAKE": f"s3://spotify-data-lake/{tmp_path.name}", **changes,
        }  # fmt: skip
        command = [sys.executable, "-m", "soundlake.cli.app", "sink", "--compact-every", "0", *options]
        with (tmp_path / "sink.log").open("w") as log:
            return subprocess.Popen(command, env={**os.environ, **settings}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True)

    return start


@pytest.fixture
def campaign(object_store, tmp_path) -> Path:
    uri = f"s3://spotify-data-lake/{tmp_path.name}"
    (tmp_path / "bucket.json").write_text(json.dumps({"uri": uri, "storage_options": object_store.server.storage_options}))
    return tmp_path


def wait_for_message(log: Path, message: str, times: int = 1) -> None:
    deadline = time.monotonic() + 120
    while (text := log.read_text()).count(message) < times:
        assert time.monotonic() < deadline, text
        time.sleep(0.2)


def wait_for_batches(campaign: Path, count: int) -> None:
    """Return once the sink has stored so many more batches."""
    lake, deadline = open_lake(campaign), time.monotonic() + 120
    wanted = sum(lake.read_last_batch(name) for name, _ in TABLES.values()) + count
    while sum(lake.read_last_batch(name) for name, _ in TABLES.values()) < wanted:
        assert time.monotonic() < deadline, (campaign / "sink.log").read_text()
        time.sleep(0.02)


def wait_until_stored(campaign: Path) -> None:
    deadline = time.monotonic() + 120
    with closing(open_broker(campaign)) as broker:
        while waiting := count_waiting(broker, open_lake(campaign)):
            assert time.monotonic() < deadline, f"{waiting} records are not stored: {(campaign / 'sink.log').read_text()}"
            time.sleep(0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "the store does not accept these keys\n→ correct AWS_SECRET_ACCESS_KEY\n"),
        ({"AWS_ACCESS_KEY_ID": "stranger"}, "the store does not know this access key\n→ correct AWS_ACCESS_KEY_ID\n"),
        ({"SOUNDLAKE_LAKE": "s3://no-such-bucket"}, "there is no such bucket\n→ create the bucket, or correct SOUNDLAKE_LAKE\n"),
    ],
    ids=["wrong secret", "unknown key", "missing bucket"],
)
def test_a_sink_ends_at_once_if_only_another_setting_helps(run_sink, tmp_path, changes, message):
    assert run_sink(**changes).wait(60) == 2
    assert message in (tmp_path / "sink.log").read_text()


def test_a_sink_retries_while_the_store_is_down_at_its_start(run_sink, campaign, object_store):
    truth = prepare(campaign)
    publish_backlog(campaign, truth, seed=5, count=60)
    object_store.kill()
    try:
        sink = run_sink("--until-drained")
        wait_for_message(campaign / "sink.log", "the store does not answer; trying again")
    finally:
        object_store.start()
    assert sink.wait(120) == 0
    assert_exactly_once(campaign, truth)


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (Faults(clock_ahead_seconds=3_600), "this machine's clock differs from the store's; trying again"),
        (Faults(rejected=1.0), "the store asks to slow down; trying again"),
    ],
    ids=["clock", "slow down"],
)
def test_a_sink_retries_temporary_errors_and_loses_and_duplicates_nothing(run_sink, campaign, object_store, faults, message):
    truth = prepare(campaign)
    with open_proxy(object_store.server.port, faults) as proxy:
        sink = run_sink(AWS_ENDPOINT_URL=proxy.endpoint)
        for times in range(1, 4):
            wait_for_message(campaign / "sink.log", message, times)
            publish_backlog(campaign, truth, seed=10 * times, count=150)
            proxy.change(Faults())
            if times < 3:
                wait_for_batches(campaign, 2)
                proxy.change(replace(faults, begin_with="PUT"))  # in the middle of a batch
        wait_until_stored(campaign)
        assert sink.poll() is None
        sink.terminate()
        assert sink.wait(60) == 0
    assert proxy.counts["PUT skewed"] + proxy.counts["PUT rejected"] > 0, proxy.counts
    assert_exactly_once(campaign, truth)


def test_a_clock_difference_of_ten_minutes_is_accepted(open_through, object_store):
    with open_proxy(object_store.server.port, Faults(clock_ahead_seconds=600)) as proxy:
        open_through(proxy.endpoint).ensure_tables()
    assert proxy.counts["PUT skewed"] == 0


def test_a_sink_with_another_region_ends_at_once_and_resumes_with_the_right_one(run_sink, campaign, object_store):
    truth = prepare(campaign)
    publish_backlog(campaign, truth, seed=10, count=60)
    with open_proxy(object_store.server.port, Faults(region="eu-west-1")) as proxy:
        assert run_sink("--until-drained", AWS_ENDPOINT_URL=proxy.endpoint, AWS_REGION="us-east-1").wait(60) == 2
        assert "the bucket is in another region\n→ correct AWS_REGION\n" in (campaign / "sink.log").read_text()
        assert run_sink("--until-drained", AWS_ENDPOINT_URL=proxy.endpoint, AWS_REGION="eu-west-1").wait(120) == 0
    assert proxy.counts["GET other_region"] > 0
    assert_exactly_once(campaign, truth)


def test_sink_and_compaction_behind_a_bad_connection_lose_and_duplicate_nothing(run_sink, campaign, object_store):
    truth = prepare(campaign)
    publish_backlog(campaign, truth, seed=6, count=150)
    faults = Faults(lost_responses=0.07, lost_requests=0.07, rejected=0.07)
    with open_proxy(object_store.server.port, faults) as proxy:
        assert run_sink("--until-drained", AWS_ENDPOINT_URL=proxy.endpoint).wait(300) == 0, (campaign / "sink.log").read_text()
        options = object_store.server.storage_options | {"AWS_ENDPOINT_URL": proxy.endpoint}
        lake = Lake(Address(f"s3://spotify-data-lake/{campaign.name}", "s3"), options)
        compacted = sum(done.files_before for done in lake.compact(datetime.now(UTC) + timedelta(days=2)))
    assert compacted > 0
    assert {fault for fault in ("PUT lost_response", "PUT lost_request", "PUT rejected") if not proxy.counts[fault]} == set()
    assert_exactly_once(campaign, truth)
