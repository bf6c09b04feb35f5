"""Bronze lets go of old rows, by the service itself, while sink and readers run and the sink is killed: exactly what shall stay stays."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
from deltalake import DeltaTable
from tests.integration.campaign_truth import TABLES, Truth, reckon
from tests.integration.kill_campaign import drain, prepare, start_driver
from tests.integration.sink_driver import LIMITS, open_broker, open_lake
from tests.integration.test_upkeep_beside_the_sink import Threads, await_batches

from soundlake.contract.topics import MONTHLY
from soundlake.lake import LAYOUTS
from soundlake.lake.retention import DELETED_ROWS_APP_ID
from soundlake.reconciliation.log_vs_bronze import check_log
from soundlake.settings import extend_environment
from soundlake.sink import Sink

NOW = datetime.now(UTC)
CAME = NOW - timedelta(days=3)
"""When the first sink stored what it did; the service keeps a day."""


def months_ago(count: int) -> datetime:
    """Noon in the middle of a month, so that the hours before it are in one day."""
    month = NOW.year * 12 + NOW.month - 1 - count
    return datetime(month // 12, month % 12 + 1, 15, 12, tzinfo=UTC)


OLD, MIXED, LATE = months_ago(3), months_ago(2), months_ago(1)
"""Happened, and came three days ago; the same, but some of the same hours come now; comes now."""


def find_cell(topic: str, event: dict[str, object]) -> tuple[str, str]:
    """The partition of time in which an event lies."""
    return topic, str(event["played_at"])[: 7 if LAYOUTS[TABLES[topic][0]].partition_by == MONTHLY else 13]


def store(folder: Path, chance: random.Random, came: datetime, **counts: tuple[int, datetime]) -> dict[str, Truth]:
    """What was published of each topic, and stored by a sink whose clock stands at that moment."""
    told = {topic: Truth(folder) for topic in TABLES}
    with closing(open_broker(folder)) as broker:
        for topic, truth in told.items():
            for count, happened in counts.values():
                truth.publish(broker, chance, topic, count, happened)
        Sink(broker, open_lake(folder), LIMITS, clock=lambda: came).run(until_drained=True)
    return told


@contextmanager
def run_service(folder: Path):
    """`soundlake compact --every` on a campaign; what it said of each round is in the list once it has ended."""
    lake, rounds = open_lake(folder), []
    environment = extend_environment({
        "SOUNDLAKE_HOME": str(folder / "home"), "SOUNDLAKE_BROKER": f"sqlite://{folder / 'broker.db'}",
        "SOUNDLAKE_LAKE": lake.address.url, "SOUNDLAKE_BRONZE_RETENTION_DAYS": "1", **lake.storage_options,
    })  # fmt: skip
    command = [sys.executable, "-m", "soundlake.cli.app", "compact", "--every", "0.3s", "--json"]
    with (folder / "rounds").open("w") as said, subprocess.Popen(command, env=environment, stdout=said) as service:
        yield rounds
        service.terminate()
    assert service.returncode == 0
    rounds += map(json.loads, (folder / "rounds").read_text().splitlines())


def read_again_and_again(folder: Path, threads: Threads, reads: list[int]) -> None:
    """As readers do: no place in the log is there twice, and what came since only grows."""
    lake, known = open_lake(folder), 0
    while not threads.ended.wait(0.05):
        rows = lake.read("plays", ["_partition", "_offset", "played_at"])
        assert len(rows.group_by(["_partition", "_offset"]).aggregate([])) == len(rows)
        stays = pc.sum(pc.greater(rows["played_at"], LATE - timedelta(days=1))).as_py() or 0
        assert stays >= known
        known = stays
        reads.append(len(rows))


def read_let_go(folder: Path) -> dict[str, int]:
    lake = open_lake(folder)
    found = {name: DeltaTable(lake.find_uri(name), storage_options=lake.storage_options).transaction_version(DELETED_ROWS_APP_ID) for name in LAYOUTS}
    return {name: count for name, count in found.items() if count}


def test_rows_go_beside_sink_and_readers_and_exactly_those_that_should(campaign):
    truth, chance, reads = prepare(campaign), random.Random(20261126), []
    first = store(campaign, chance, CAME, old=(300, OLD), mixed=(10, MIXED))
    second = store(campaign, chance, NOW, mixed=(3, MIXED))
    held = {find_cell(topic, event) for topic, told in second.items() for event in told.events}
    going = {TABLES[t][0]: sum(find_cell(t, event) not in held for event in told.events) for t, told in first.items()}
    going["rejected"] = sum(len(told.broken) for told in first.values())
    truth.events += [event for topic, told in first.items() for event in told.events if find_cell(topic, event) in held]
    truth.events += [event for told in second.values() for event in told.events]
    truth.broken += [digest for told in second.values() for digest in told.broken]

    def produce() -> None:
        with closing(open_broker(campaign)) as broker:
            while not threads.ended.wait(0.1):
                happened = LATE if chance.random() < 0.1 else datetime.now(UTC)
                truth.publish(broker, chance, chance.choice(list(TABLES)), chance.choice((1, 20, 150)), happened)

    with run_service(campaign) as rounds:
        with Threads() as threads:
            threads.start(produce)
            threads.start(lambda: read_again_and_again(campaign, threads, reads))
            deadline, kills = time.monotonic() + 120, 0
            while (kills < 3 or read_let_go(campaign) != going) and time.monotonic() < deadline:
                sink = start_driver(campaign, "--endless")
                await_batches(campaign, 6)
                sink.kill()
                sink.communicate(timeout=60)
                kills += 1
        drain(campaign)
    assert threads.errors == []
    lake = open_lake(campaign)
    found = reckon(lake.find_uri("").removesuffix("/bronze/"), lake.storage_options, truth)
    assert found.pop("gaps") == sum(going.values())
    assert not any(found.values()), found
    assert read_let_go(campaign) == going
    assert {name: sum(done["rows_dropped"].get(name, 0) for done in rounds) for name in going} == going
    with closing(open_broker(campaign)) as broker:
        assert [check for check in check_log(broker, lake) if not check.ok] == []
    assert sum(table["files_before"] for done in rounds for table in done["tables"]) > 5
    assert len(reads) > 5
    assert max(reads[:3]) > going["plays"]
