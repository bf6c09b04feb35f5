"""The upkeep service deletes old rows while sink and readers run and the sink is killed: exactly the right rows are deleted."""

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
from tests.integration.campaign_truth import TABLES, Truth, find_differences
from tests.integration.kill_campaign import drain, prepare, start_driver
from tests.integration.sink_driver import LIMITS, open_broker, open_lake
from tests.integration.test_upkeep_beside_the_sink import Threads, wait_for_batches

from soundlake.contract.topics import MONTHLY
from soundlake.lake import LAYOUTS
from soundlake.lake.deleted_rows import DELETED_ROWS_APP_ID
from soundlake.reconciliation.log_vs_bronze import check_log
from soundlake.settings import extend_environment
from soundlake.sink import Sink

NOW = datetime.now(UTC)
FIRST_ARRIVAL = NOW - timedelta(days=3)
"""The clock of the first sink; the service keeps rows for a day."""


def months_ago(count: int) -> datetime:
    """Noon in the middle of a month, so that the hours before it are in one day."""
    month = NOW.year * 12 + NOW.month - 1 - count
    return datetime(month // 12, month % 12 + 1, 15, 12, tzinfo=UTC)


OLD, MIXED, LATE = months_ago(3), months_ago(2), months_ago(1)
"""Old events that arrived three days ago; the same, with other events of the same hours arriving now; old events arriving now."""


def find_cell(topic: str, event: dict[str, object]) -> tuple[str, str]:
    """The time partition of an event."""
    return topic, str(event["played_at"])[: 7 if LAYOUTS[TABLES[topic][0]].partition_by == MONTHLY else 13]


def store(folder: Path, rng: random.Random, clock: datetime, **counts: tuple[int, datetime]) -> dict[str, Truth]:
    """Publish events of each topic and store them by a sink with that clock; returns the published records by topic."""
    published = {topic: Truth(folder) for topic in TABLES}
    with closing(open_broker(folder)) as broker:
        for topic, truth in published.items():
            for count, happened in counts.values():
                truth.publish(broker, rng, topic, count, happened)
        Sink(broker, open_lake(folder), LIMITS, clock=lambda: clock).run(until_drained=True)
    return published


@contextmanager
def run_service(folder: Path):
    """`soundlake compact --every` on a campaign; yields a list that has its report of each round once it has ended."""
    lake, rounds = open_lake(folder), []
    environment = extend_environment({
        "SOUNDLAKE_HOME": str(folder / "home"), "SOUNDLAKE_BROKER": f"sqlite://{folder / 'broker.db'}",
        "SOUNDLAKE_LAKE": lake.address.url, "SOUNDLAKE_BRONZE_RETENTION_DAYS": "1", **lake.storage_options,
    })  # fmt: skip
    command = [sys.executable, "-m", "soundlake.cli.app", "compact", "--every", "0.3s", "--json"]
    with (folder / "rounds").open("w") as output, subprocess.Popen(command, env=environment, stdout=output) as service:
        yield rounds
        service.terminate()
    assert service.returncode == 0
    rounds += map(json.loads, (folder / "rounds").read_text().splitlines())


def read_repeatedly(folder: Path, threads: Threads, reads: list[int]) -> None:
    """Read a table: no coordinates occur twice, and the number of recent rows never shrinks."""
    lake, known = open_lake(folder), 0
    while not threads.ended.wait(0.05):
        rows = lake.read("plays", ["_partition", "_offset", "played_at"])
        assert len(rows.group_by(["_partition", "_offset"]).aggregate([])) == len(rows)
        stays = pc.sum(pc.greater(rows["played_at"], LATE - timedelta(days=1))).as_py() or 0
        assert stays >= known
        known = stays
        reads.append(len(rows))


def read_deleted_counts(folder: Path) -> dict[str, int]:
    lake = open_lake(folder)
    found = {
        name: DeltaTable(lake.find_uri(name), storage_options=lake.storage_options).transaction_version(DELETED_ROWS_APP_ID)
        for name in LAYOUTS
    }
    return {name: count for name, count in found.items() if count}


def test_exactly_the_rows_past_retention_are_deleted_beside_sink_and_readers(campaign):
    truth, rng, reads = prepare(campaign), random.Random(20261126), []
    first = store(campaign, rng, FIRST_ARRIVAL, old=(300, OLD), mixed=(10, MIXED))
    second = store(campaign, rng, NOW, mixed=(3, MIXED))
    kept = {find_cell(topic, event) for topic, published in second.items() for event in published.events}
    expected = {TABLES[t][0]: sum(find_cell(t, event) not in kept for event in published.events) for t, published in first.items()}
    expected["rejected"] = sum(len(published.broken) for published in first.values())
    truth.events += [event for topic, published in first.items() for event in published.events if find_cell(topic, event) in kept]
    truth.events += [event for published in second.values() for event in published.events]
    truth.broken += [digest for published in second.values() for digest in published.broken]

    def produce() -> None:
        with closing(open_broker(campaign)) as broker:
            while not threads.ended.wait(0.1):
                happened = LATE if rng.random() < 0.1 else datetime.now(UTC)
                truth.publish(broker, rng, rng.choice(list(TABLES)), rng.choice((1, 20, 150)), happened)

    with run_service(campaign) as rounds:
        with Threads() as threads:
            threads.start(produce)
            threads.start(lambda: read_repeatedly(campaign, threads, reads))
            deadline, kills = time.monotonic() + 120, 0
            while (kills < 3 or read_deleted_counts(campaign) != expected) and time.monotonic() < deadline:
                sink = start_driver(campaign, "--endless")
                wait_for_batches(campaign, 6)
                sink.kill()
                sink.communicate(timeout=60)
                kills += 1
        drain(campaign)
    assert threads.errors == []
    lake = open_lake(campaign)
    found = find_differences(lake.find_uri("").removesuffix("/bronze/"), lake.storage_options, truth)
    assert found.pop("gaps") == sum(expected.values())
    assert not any(found.values()), found
    assert read_deleted_counts(campaign) == expected
    assert {name: sum(done["rows_dropped"].get(name, 0) for done in rounds) for name in expected} == expected
    with closing(open_broker(campaign)) as broker:
        assert [check for check in check_log(broker, lake) if not check.ok] == []
    assert sum(table["files_before"] for done in rounds for table in done["tables"]) > 5
    assert len(reads) > 5
    assert max(reads[:3]) > expected["plays"]
