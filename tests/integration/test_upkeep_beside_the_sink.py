"""Sink, compaction, retention of the log and readers at once, and the sink killed now and then: nothing is lost, doubled or half seen."""

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
from soundlake.reconciliation.bronze_vs_silver import check_silver
from soundlake.operations.upkeep import Upkeep, UpkeepReport
from soundlake.settings import Address, extend_environment
from soundlake.warehouse import Warehouse, open_snapshot

AHEAD = timedelta(days=2)
"""By upkeep's clock every hour of the campaign is over."""
LOG_RETENTION = AHEAD + timedelta(seconds=1)


class Threads:
    """Work that goes on until the block ends; what went wrong in it is raised there."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, work) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # raised where the threads end
                self.errors.append(error)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join()


def read_again_and_again(folder: Path, ended: threading.Event) -> int:
    """Read a table as readers do: it only grows, and holds each place in the log once."""
    lake, known, reads = open_lake(folder), 0, 0
    while not ended.wait(0.05):
        rows = lake.read("plays", ["_topic", "_partition", "_offset"])
        with duckdb.connect() as db:
            db.register("plays", rows)
            count, distinct = db.execute("select count(*), count(distinct (_topic, _partition, _offset)) from plays").fetchone()
        assert known <= count == distinct
        known, reads = count, reads + 1
    return reads


def await_batches(folder: Path, count: int) -> None:
    """Wait until the sink has stored so many batches more, a minute at most: machines are slow at times."""
    lake, deadline = open_lake(folder), time.monotonic() + 60
    wanted = sum(lake.read_last_batch(name) for name, _ in TABLES.values()) + count
    while sum(lake.read_last_batch(name) for name, _ in TABLES.values()) < wanted and time.monotonic() < deadline:
        time.sleep(0.1)


def test_sink_compaction_retention_and_readers_at_once(campaign):
    truth, reports, chance, reads = prepare(campaign), list[UpkeepReport](), random.Random(20261126), []
    broker, watched = open_broker(campaign), open_broker(campaign)

    def produce() -> None:
        while not threads.ended.wait(0.1):
            truth.publish(broker, chance, chance.choice(list(TABLES)), chance.choice((1, 20, 150)), datetime.now(UTC))

    with Threads() as threads:
        upkeep = Upkeep(open_lake(campaign), lambda: datetime.now(UTC) + AHEAD, log=watched, log_retention=LOG_RETENTION)
        threads.start(produce)
        threads.start(lambda: upkeep.run_every(0.3, threads.ended, reports.append))
        threads.start(lambda: reads.append(read_again_and_again(campaign, threads.ended)))
        for _ in range(5):
            sink = start_driver(campaign, "--endless")
            await_batches(campaign, 8)
            time.sleep(chance.uniform(0, 2))
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


def test_the_service_goes_on_round_after_round_until_it_is_ended(tmp_path):
    environment = extend_environment({"SOUNDLAKE_HOME": str(tmp_path), "SOUNDLAKE_BROKER": "", "SOUNDLAKE_LAKE": ""})
    command = [sys.executable, "-m", "soundlake.cli.app", "compact", "--every", "0.2s", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as service:
        rounds = [json.loads(service.stdout.readline()) for _ in range(2)]
        service.terminate()
        service.communicate(timeout=60)
    assert service.returncode == 0
    assert {table["table"] for table in rounds[1]["tables"]} >= {"plays", "history", "rejected", "replays"}


def test_silver_still_adds_up_once_bronze_has_let_go_of_what_is_old(tmp_path):
    bronze = BronzeBuilder(tmp_path / "lake")
    bronze.append_placed(Listening(5).split(1)[0])
    with Warehouse(tmp_path / "warehouse", bronze, memory_limit="1GB") as warehouse:
        warehouse.transform()
    lake = Lake(Address(f"file://{tmp_path}/lake", "file", path=tmp_path / "lake"))
    lake.ensure_tables()
    with open_snapshot(tmp_path / "warehouse") as snapshot:
        before = [check.expected for check in check_silver(snapshot.connection, lake)]
        dropped = lake.delete_rows_before(datetime(2026, 3, 4, tzinfo=UTC))
        checks = check_silver(snapshot.connection, lake)
        assert dropped["plays"] > 10
        assert [check.ok for check in checks] == [True, True]
        assert checks[0].expected < before[0]
        assert checks[0].parts["silver"] > 0
