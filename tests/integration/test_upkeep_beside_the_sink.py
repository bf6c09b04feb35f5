"""Sink, compaction, log retention and readers run at once, and the sink is killed: nothing is lost, duplicated or read in part."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import duckdb
from tests.integration.campaign_truth import TABLES
from tests.integration.kill_campaign import assert_exactly_once, drain, prepare, start_driver
from tests.integration.sink_driver import open_broker, open_lake
from tests.warehouse_builder import BronzeBuilder
from tests.warehouse_cases import Listening

from soundlake.lake import Lake
from soundlake.operations.upkeep import Upkeep, UpkeepReport
from soundlake.reconciliation.bronze_vs_silver import check_silver
from soundlake.settings import Address, extend_environment
from soundlake.warehouse import Warehouse, open_snapshot

AHEAD = timedelta(days=2)
"""The clock of upkeep is ahead, so that every hour of the campaign has ended."""
LOG_RETENTION = AHEAD + timedelta(seconds=1)


class Threads:
    """Threads that work until the block ends; `errors` has what they raised."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, work) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # checked by the test
                self.errors.append(error)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join()


def read_repeatedly(folder: Path, ended: threading.Event) -> int:
    """Read a table: it only grows, and no coordinates occur twice. Returns how often it was read."""
    lake, known, reads = open_lake(folder), 0, 0
    while not ended.wait(0.05):
        rows = lake.read("plays", ["_topic", "_partition", "_offset"])
        with duckdb.connect() as db:
            db.register("plays", rows)
            count, distinct = db.execute("select count(*), count(distinct (_topic, _partition, _offset)) from plays").fetchone()
        assert known <= count == distinct
        known, reads = count, reads + 1
    return reads


def wait_for_batches(folder: Path, count: int) -> None:
    """Return once the sink has stored so many more batches, after a minute at most."""
    lake, deadline = open_lake(folder), time.monotonic() + 60
    wanted = sum(lake.read_last_batch(name) for name, _ in TABLES.values()) + count
    while sum(lake.read_last_batch(name) for name, _ in TABLES.values()) < wanted and time.monotonic() < deadline:
        time.sleep(0.1)


def test_sink_compaction_retention_and_readers_at_once(campaign):
    truth, reports, rng, reads = prepare(campaign), list[UpkeepReport](), random.Random(20261126), []
    broker, watched = open_broker(campaign), open_broker(campaign)

    def produce() -> None:
        while not threads.ended.wait(0.1):
            truth.publish(broker, rng, rng.choice(list(TABLES)), rng.choice((1, 20, 150)), datetime.now(UTC))

    with Threads() as threads:
        upkeep = Upkeep(open_lake(campaign), lambda: datetime.now(UTC) + AHEAD, log=watched, log_retention=LOG_RETENTION)
        threads.start(produce)
        threads.start(lambda: upkeep.run_every(0.3, threads.ended, reports.append))
        threads.start(lambda: reads.append(read_repeatedly(campaign, threads.ended)))
        for _ in range(5):
            sink = start_driver(campaign, "--endless")
            wait_for_batches(campaign, 8)
            time.sleep(rng.uniform(0, 2))
            sink.kill()
            sink.communicate(timeout=60)
    assert threads.errors == []
    drain(campaign)
    upkeep.run_once(vacuum=True)
    assert_exactly_once(campaign, truth)
    assert reads[0] > 5
    assert sum(table.files_before for report in reports for table in report.tables) > 5
    assert sum(sum(report.records_trimmed.values()) for report in reports) > 100
    assert any(held.begin > 0 for held in watched.offsets("user_plays").values())


def test_the_service_runs_round_after_round_until_it_is_terminated(tmp_path):
    environment = extend_environment({"SOUNDLAKE_HOME": str(tmp_path), "SOUNDLAKE_BROKER": "", "SOUNDLAKE_LAKE": ""})
    command = [sys.executable, "-m", "soundlake.cli.app", "compact", "--every", "0.2s", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as service:
        rounds = [json.loads(service.stdout.readline()) for _ in range(2)]
        service.terminate()
        service.communicate(timeout=60)
    assert service.returncode == 0
    assert {table["table"] for table in rounds[1]["tables"]} >= {"plays", "history", "rejected", "replays"}


def test_silver_still_adds_up_after_old_rows_are_deleted_from_bronze(tmp_path):
    bronze = BronzeBuilder(tmp_path / "lake")
    bronze.append_placed(Listening(5).split(1)[0])
    with Warehouse(tmp_path / "warehouse", bronze, memory_limit="1GB") as warehouse:
        warehouse.transform()
    lake = Lake(Address(f"file://{tmp_path}/lake", "file", path=tmp_path / "lake"))
    lake.ensure_tables()
    with open_snapshot(tmp_path / "warehouse") as snapshot:
        before = [check.expected for check in check_silver(snapshot.connection, lake)]
        deleted = lake.delete_rows_before(datetime(2026, 3, 4, tzinfo=UTC))
        checks = check_silver(snapshot.connection, lake)
        assert deleted["plays"] > 10
        assert [check.ok for check in checks] == [True, True]
        assert checks[0].expected < before[0]
        assert checks[0].parts["silver"] > 0
