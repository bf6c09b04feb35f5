"""Rounds of upkeep, in a process of their own or in a thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from soundlake.broker import Broker
from soundlake.errors import Retryable, SoundlakeError
from soundlake.lake import VACUUM_RETENTION_HOURS, Compaction, Lake
from soundlake.operations.upkeep.log_retention import trim_log

if TYPE_CHECKING:
    from soundlake.telemetry.metrics import UpkeepMetrics

log = logging.getLogger(__name__)

_VACUUM_EVERY = timedelta(hours=6)


@dataclass(frozen=True)
class UpkeepReport:
    """The result of a round: each table's compaction, the rows deleted past retention by table, the log records deleted by topic."""

    tables: list[Compaction] = field(default_factory=list)
    rows_dropped: dict[str, int] = field(default_factory=dict)
    records_trimmed: dict[str, int] = field(default_factory=dict)


class Upkeep:
    """Compacts finished hours, deletes rows and log records past retention and, every six hours, vacuums: deletes files of no commit.

    `log` is the embedded log, trimmed to `log_retention`; Kafka applies its own. Without `row_retention` bronze keeps every row.
    `metrics` count the periodic rounds.
    """

    def __init__(
        self,
        lake: Lake,
        clock: Callable[[], datetime],
        *,
        log: Broker | None = None,
        log_retention: timedelta | None = None,
        row_retention: timedelta | None = None,
        vacuum_hours: int = VACUUM_RETENTION_HOURS,
        metrics: UpkeepMetrics | None = None,
    ) -> None:
        self._lake, self._clock, self._log = lake, clock, log
        self._log_retention, self._row_retention, self._vacuum_hours = log_retention, row_retention, vacuum_hours
        self._next_vacuum = clock() + _VACUUM_EVERY
        self._metrics = metrics

    def run_once(self, *, vacuum: bool | None = None, retain: bool = True) -> UpkeepReport:
        """One round over all tables and topics. `vacuum`: whether to vacuum; None: if six hours have passed since the last one."""
        now = self._clock()
        is_due = now >= self._next_vacuum if vacuum is None else vacuum
        dropped = self._lake.delete_rows_before(now - self._row_retention) if retain and self._row_retention is not None else {}
        tables = self._lake.compact(now, vacuum_retention_hours=self._vacuum_hours if is_due else None)
        if is_due:
            self._next_vacuum = now + _VACUUM_EVERY
        return UpkeepReport(tables, dropped, self._trim(now) if retain else {})

    def _trim(self, now: datetime) -> dict[str, int]:
        if self._log is None or self._log_retention is None:
            return {}
        return trim_log(self._log, self._lake, self._log_retention, now)

    def run_every(self, seconds: float, stop: threading.Event, on_round: Callable[[UpkeepReport], None] = lambda _: None) -> None:
        """A round every `seconds` until `stop` is set. The first one waits too, so that it does not slow down the start of a stack.

        A retryable error is logged, and the next round tries again. Raises every other error.
        """
        self._record_interval(seconds)
        while not stop.wait(seconds):
            try:
                on_round(self._run_measured())
            except Retryable as error:
                log.warning("%s; the next round tries again", error.message)

    @contextmanager
    def in_background(self, every_seconds: float) -> Iterator[None]:
        """While the block runs, a thread runs a round every `every_seconds`; the first one waits too."""
        ended = threading.Event()
        thread = threading.Thread(target=self._run_rounds, args=(ended, every_seconds), name="upkeep")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _run_rounds(self, ended: threading.Event, every_seconds: float) -> None:
        self._record_interval(every_seconds)
        while not ended.wait(every_seconds):
            try:
                self._run_measured()
            except SoundlakeError:
                log.warning("upkeep did not finish; the next round tries again", exc_info=True)

    def _record_interval(self, every_seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.record_interval(every_seconds)

    def _run_measured(self) -> UpkeepReport:
        """A round, counted in the metrics."""
        if self._metrics is None:
            return self.run_once()
        start = monotonic()
        try:
            report = self.run_once()
        except Exception:
            self._metrics.record_failed_round(monotonic() - start)
            raise
        self._metrics.record_round(
            report.tables,
            rows_dropped=sum(report.rows_dropped.values()),
            records_trimmed=sum(report.records_trimmed.values()),
            seconds=monotonic() - start,
        )
        return report
