"""The truth beside the stream: what was sent, written before and after it is published."""

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


class TruthFolder:
    """A folder of truth, in files named by the run; a run adds files and touches no others.

    `events-*`: acknowledged, as sent. `unsure-*`: may be in the log or not. `broken-*`: acknowledged records that cannot be decoded, by
    sha256. Besides `faults-*`, and what is planted: `listeners-*`, `tracks-*`, `preferences-*`.

    A table is written down as unsure before it is published: a producer that is killed leaves the truth behind.
    Raises UsageError where the folder cannot be written to.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self._folder, self._run, self._count, self._noted = folder, run, 0, 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._place("run", ".json").write_text(json.dumps({"run": run}) + "\n", encoding="utf-8")
        except OSError as cause:
            raise UsageError(f"--truth {folder}: {cause.strerror}", next_step="choose a folder that can be written to") from cause

    def publish(self, events: pa.Table, publish: Callable[[pa.Table], PublishReport]) -> PublishReport:
        """Publish the events and take down what became of them."""
        self._count += 1
        unsure = self._place("unsure", f"-{self._count:05d}.parquet")
        _write_table(events, unsure)
        account = publish(events)
        acknowledged = self._place("events", f"-{self._count:05d}.parquet")
        if account.acknowledged == len(events):
            unsure.rename(acknowledged)
            return account
        _write_table(events.filter(pa.array(account.acknowledged_rows)), acknowledged)
        _write_table(events.filter(pa.array(account.unsure_rows)), unsure)
        return account

    def record_malformed(self, values: list[bytes], delivery: Delivery) -> None:
        """Take down the records that were acknowledged; those whose fate is unknown stand nowhere."""
        lost = {*delivery.failed, *delivery.unsure}
        lines = [json.dumps({"sha256": sha256(value).hexdigest()}) + "\n" for row, value in enumerate(values) if row not in lost]
        if lines:
            with self._place("broken", ".ndjson").open("a", encoding="utf-8") as file:
                file.writelines(lines)

    def record_faults(self, notes: pa.Table) -> None:
        """Take down which faults befell which events."""
        self._noted += 1
        if len(notes):
            _write_table(notes, self._place("faults", f"-{self._noted:05d}.parquet"))

    def record_world(self, world: World) -> None:
        """Write down what is planted: the listeners, the tracks, and each listener's true preference."""
        _write_table(describe_listeners(world), self._place("listeners", ".parquet"))
        _write_table(describe_tracks(world.catalogue), self._place("tracks", ".parquet"))
        _write_table(pa.concat_tables(list_preferences(world)), self._place("preferences", ".parquet"))

    def _place(self, kind: str, end: str) -> Path:
        return self._folder / f"{kind}-{self._run}{end}"


def _write_table(events: pa.Table, path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    pq.write_table(events, part, compression="zstd", compression_level=1, store_schema=False)  # plain texts, even where they come coded
    part.replace(path)
