"""The ground truth beside the stream: what was sent, written before and after it is published."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from soundlake.broker.protocol import Delivery
from soundlake.broker.publish_report import PublishReport
from soundlake.errors import UsageError
from soundlake.generator.model.preferences import describe_listeners, describe_tracks, list_preferences
from soundlake.generator.model.world import World
from soundlake.local_files import replace_file


class TruthFolder:
    """A folder with the ground truth, in files named by the run; a run only adds files.

    `events-*`: acknowledged, as sent. `unsure-*`: in the log or not. `broken-*`: sha256 of acknowledged records that cannot be decoded.
    `observations-*`: the true play of each row of a view. Also `faults-*`, and the planted truth: `listeners-*`, `tracks-*`,
    `preferences-*`.

    A table is written as unsure before it is published, so the truth is complete even if the producer is killed.
    Raises UsageError if the folder cannot be written to.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self._folder, self._run, self._count, self._fault_files = folder, run, 0, 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._make_path("run", ".json").write_text(json.dumps({"run": run}) + "\n", encoding="utf-8")
        except OSError as cause:
            raise UsageError(f"--truth {folder}: {cause.strerror}", next_step="choose a folder that can be written to") from cause

    def publish(self, events: pa.Table, publish: Callable[[pa.Table], PublishReport]) -> PublishReport:
        """Publish the events and record the outcome."""
        self._count += 1
        unsure = self._make_path("unsure", f"-{self._count:05d}.parquet")
        _write_table(events, unsure)
        report = publish(events)
        acknowledged = self._make_path("events", f"-{self._count:05d}.parquet")
        if report.acknowledged == len(events):
            unsure.rename(acknowledged)
            return report
        _write_table(events.filter(pa.array(report.acknowledged_rows)), acknowledged)
        _write_table(events.filter(pa.array(report.unsure_rows)), unsure)
        return report

    def record_malformed(self, values: list[bytes], delivery: Delivery) -> None:
        """Record the acknowledged records; those with an unknown outcome are not recorded."""
        lost = {*delivery.failed, *delivery.unsure}
        lines = [json.dumps({"sha256": sha256(value).hexdigest()}) + "\n" for row, value in enumerate(values) if row not in lost]
        if lines:
            with self._make_path("broken", ".ndjson").open("a", encoding="utf-8") as file:
                file.writelines(lines)

    def record_faults(self, faults: pa.Table) -> None:
        """Record the injected faults (FAULT_SCHEMA)."""
        self._fault_files += 1
        if len(faults):
            _write_table(faults, self._make_path("faults", f"-{self._fault_files:05d}.parquet"))

    def record_observations(self, rows: pa.Table) -> None:
        """Record the true play of each row of a view (views.view_folder.RecordRows)."""
        _write_table(rows, self._make_path("observations", ".parquet"))

    def record_world(self, world: World) -> None:
        """Record the planted truth: the listeners, the tracks, and each listener's true preferences."""
        _write_table(describe_listeners(world), self._make_path("listeners", ".parquet"))
        _write_table(describe_tracks(world.catalogue), self._make_path("tracks", ".parquet"))
        _write_table(pa.concat_tables(list_preferences(world)), self._make_path("preferences", ".parquet"))

    def _make_path(self, kind: str, end: str) -> Path:
        return self._folder / f"{kind}-{self._run}{end}"


def _write_table(events: pa.Table, path: Path) -> None:
    with replace_file(path) as draft:  # without store_schema: dictionary columns are read as plain texts
        pq.write_table(events, draft, compression="zstd", compression_level=1, store_schema=False)
