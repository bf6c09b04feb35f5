"""Run all checks."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc

from soundlake.broker import Broker
from soundlake.contract import REJECTED_TABLE, TOPICS
from soundlake.lake import Lake
from soundlake.progress import Reporter
from soundlake.reconciliation.bronze_vs_silver import check_silver, count_rules, count_waiting_rows, read_built_at
from soundlake.reconciliation.log_vs_bronze import check_log, count_waiting
from soundlake.reconciliation.models import CheckReport, Freshness
from soundlake.reconciliation.silver_vs_gold import check_gold
from soundlake.reconciliation.stopped_topics import check_stopped
from soundlake.warehouse import open_snapshot


def run_checks(broker: Broker, lake: Lake, warehouse: Path, now: datetime, reporter: Reporter) -> CheckReport:
    """Check log, bronze, silver and gold; `warehouse` is the folder with the snapshots. Raises Unavailable if there is no snapshot yet.

    Sink and builds may run meanwhile: bronze is compared up to its positions, silver up to the snapshot's watermarks.
    """
    reporter.begin("compare log and bronze")
    checks = [*check_log(broker, lake), check_stopped(broker, lake)]
    reporter.end()
    with open_snapshot(warehouse) as snapshot:
        reporter.begin("compare bronze and silver")
        checks += check_silver(snapshot.connection, lake)
        reporter.end()
        reporter.begin("compare silver and gold")
        checks += check_gold(snapshot.connection)
        rejected, flagged = count_rules(snapshot.connection)
        reporter.end()
        built_at = read_built_at(snapshot.connection)
        freshness = Freshness(
            newest_in_bronze=_find_newest(lake),
            snapshot=snapshot.id,
            snapshot_built_at=built_at,
            snapshot_age_seconds=None if built_at is None else round((now - built_at).total_seconds(), 1),
            records_waiting_in_log=count_waiting(broker, lake),
            rows_waiting_in_bronze=count_waiting_rows(snapshot.connection, lake),
        )
    return CheckReport(tuple(checks), rejected, flagged, _count_undecodable(lake), freshness)


def _find_newest(lake: Lake) -> datetime | None:
    newest = [pc.max(lake.read(topic.table, ["_ingested_at"])["_ingested_at"]).as_py() for topic in TOPICS]
    return max((time for time in newest if time is not None), default=None)


def _count_undecodable(lake: Lake) -> dict[str, int]:
    counts = pc.value_counts(lake.read(REJECTED_TABLE, ["reason"])["reason"])
    return {item["values"]: item["counts"] for item in sorted(counts.to_pylist(), key=lambda item: -item["counts"])}
