"""Publish rejected records again, each once: the intent is recorded before publishing, the result after."""

from __future__ import annotations

import socket
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.broker import Broker, Clock, Delivery, read_utc_now
from soundlake.contract import REJECTED_TABLE, TOPIC_BY_NAME, decode_records
from soundlake.contract.framed_records import Decode
from soundlake.contract.refused_rows import REFUSED_ROW_PREFIX
from soundlake.errors import Retryable, Unavailable
from soundlake.lake import Lake
from soundlake.local_files import try_lock
from soundlake.operations.dead_letters.ledger import Attempt, Entry, Ledger
from soundlake.operations.dead_letters.listing import COORDINATES, read_coordinates
from soundlake.operations.dead_letters.log_search import await_in_flight_records, hash_record, read_end_offsets, resolve_attempt
from soundlake.operations.dead_letters.models import Coordinates, DeadLetterFilter, ReplayReport, ReplayStep
from soundlake.operations.dead_letters.repair_program import Repair, keep_unchanged
from soundlake.progress import Reporter

DLQ_LOCK = "dlq.lock"
"""A file in the home: a replay of rejected records holds its lock."""

LEASE_SECONDS = 300.0
"""A replay of another home counts as dead if it has not ended after this time, which is longer than an append may take."""

IN_FLIGHT_SECONDS = 15.0
"""What a killed process has sent to Kafka is in the log once the brokers have answered for this long, or never will be."""

CHECKPOINTS = ("intent_recorded", "published", "result_recorded")
"""The points that each chunk passes, in order."""

_LONGEST_PAUSE_SECONDS = 60.0  # a replay paused for longer before publishing gives up: another one may be searching for its records
_CHUNK_RECORDS = 2_000


@dataclass(frozen=True)
class _Record:
    """A record to publish, and the rejected one it comes from."""

    origin: Coordinates
    key: bytes | None
    value: bytes


class Replayer:
    """Publishes rejected records again, one replay of a home at a time.

    First the records of interrupted runs are searched for in the log, once it has answered for `in_flight_seconds`, so that what was
    still in flight has been appended. `on_checkpoint` is called with each of CHECKPOINTS in each chunk.
    """

    def __init__(
        self,
        broker: Broker,
        lake: Lake,
        home: Path,
        reporter: Reporter,
        *,
        in_flight_seconds: float = 0.0,
        clock: Clock = read_utc_now,
        on_checkpoint: Callable[[str], None] = lambda _: None,
        decode: Decode = decode_records,
    ) -> None:
        self._broker, self._lake, self._reporter = broker, lake, reporter
        self._lock, self._owner, self._in_flight_seconds = home / DLQ_LOCK, f"{socket.gethostname()}:{home}", in_flight_seconds
        self._clock, self._on_checkpoint, self._decode = clock, on_checkpoint, decode

    def replay(
        self,
        wanted: DeadLetterFilter,
        *,
        target: str | None = None,
        repair: Repair = keep_unchanged,
        again: bool = False,
        limit: int | None = None,
    ) -> ReplayReport:
        """Publish the matching records to the topic they came from, or to `target`: those that decode there and were not replayed before.

        `again` includes those that were. Raises Unavailable if another replay is running, TopicMissing if the log lacks the topic,
        CommitConflict if a replay of another home committed in between. It can be run again at any time.
        """
        report = ReplayReport()
        with self._hold_lock():
            ledger = Ledger(self._lake)
            self._resolve_interrupted_runs(ledger, report)
            origins = self._select(wanted, ledger, report, again=again)[:limit]
            self._reporter.begin("publish again", len(origins))
            for done, chunk in enumerate(_split_into_chunks(origins)):
                self._replay_chunk(chunk, target, repair, ledger, report)
                self._reporter.advance(min((done + 1) * _CHUNK_RECORDS, len(origins)), f"{report.replayed:,} published")
            self._reporter.end(f"{report.replayed:,} published")
        return report

    @contextmanager
    def _hold_lock(self) -> Iterator[None]:
        with try_lock(self._lock) as is_free:
            if not is_free:
                raise Unavailable(f"another replay is running (it holds {self._lock})", next_step="wait for its end, then run this one")
            yield

    def _resolve_interrupted_runs(self, ledger: Ledger, report: ReplayReport) -> None:
        interrupted = ledger.list_pending()
        for attempt in interrupted:
            age = (self._clock() - attempt.acted_at).total_seconds()
            if attempt.owner != self._owner and age < LEASE_SECONDS:
                raise Unavailable(
                    f"a replay of {attempt.owner} started {age:.0f} s ago and has not ended",
                    next_step=f"wait for its end, or run it again there; after {LEASE_SECONDS:.0f} s it counts as dead",
                )
        if interrupted and self._in_flight_seconds:
            self._reporter.begin("wait for records in flight")
            await_in_flight_records(self._broker, {attempt.target for attempt in interrupted}, self._in_flight_seconds)
            self._reporter.end()
        for attempt, entries in interrupted.items():
            resolved = resolve_attempt(self._broker, attempt, entries)
            ledger.add(resolved, self._clock())
            steps = Counter(entry.step for entry in resolved)
            report.interrupted_published += steps[ReplayStep.PUBLISHED]
            report.interrupted_lost += steps[ReplayStep.FAILED]
            report.interrupted_unknown += steps[ReplayStep.UNKNOWN]

    def _select(self, wanted: DeadLetterFilter, ledger: Ledger, report: ReplayReport, *, again: bool) -> list[Coordinates]:
        origins = sorted(read_coordinates(self._lake.read(REJECTED_TABLE, COORDINATES, wanted.rows_where)))
        done = (ReplayStep.PUBLISHED, ReplayStep.UNKNOWN)
        replayed = set() if again else {record for record, entry in ledger.entries.items() if entry.step in done}
        selected = [origin for origin in origins if origin not in replayed]
        report.replayed_before = len(origins) - len(selected)
        return selected

    def _replay_chunk(
        self, origins: Sequence[Coordinates], target: str | None, repair: Repair, ledger: Ledger, report: ReplayReport
    ) -> None:
        topic = target or origins[0].topic
        records = self._prepare(origins, topic, repair, report)
        if not records:
            return
        log_id, end_offsets = self._broker.log_id(topic), read_end_offsets(self._broker, topic)
        attempt = Attempt(uuid.uuid4().hex, self._clock(), self._owner, topic, log_id, end_offsets)
        pending = [Entry(record.origin, ReplayStep.PENDING, attempt, hash_record(record.key, record.value)) for record in records]
        ledger.add(pending, attempt.acted_at)
        self._on_checkpoint("intent_recorded")
        if (self._clock() - attempt.acted_at).total_seconds() > _LONGEST_PAUSE_SECONDS:
            raise Unavailable(
                "this replay was paused before it could publish", next_step="run it again: it first finds out what it has done"
            )
        delivery = self._append(topic, records)
        self._on_checkpoint("published")
        ledger.add(_record_results(pending, delivery), self._clock())
        self._on_checkpoint("result_recorded")
        report.replayed += delivery.acknowledged
        report.unsure += len(delivery.unsure)
        report.failed.update(delivery.failed.values())

    def _prepare(self, origins: Sequence[Coordinates], topic: str, repair: Repair, report: ReplayReport) -> list[_Record]:
        """The records to publish; those that would be rejected again are counted and left out."""
        rows = self._read(origins)
        is_event = [not (value or b"").startswith(REFUSED_ROW_PREFIX) for value in rows["value"].to_pylist()]
        report.import_rows += len(rows) - sum(is_event)
        rows = rows.filter(pa.array(is_event, pa.bool_()))
        values = rows["value"].to_pylist()
        repaired = repair(values)
        is_kept = [new is not None or old is None for new, old in zip(repaired, values, strict=True)]
        report.left_out += len(rows) - sum(is_kept)
        rows, repaired = rows.filter(pa.array(is_kept, pa.bool_())), [new for new, kept in zip(repaired, is_kept, strict=True) if kept]
        times = pa.repeat(pa.scalar(int(self._clock().timestamp() * 1000), pa.int64()), len(rows))
        decoded = self._decode(TOPIC_BY_NAME[topic], pa.array(repaired, pa.binary()), times)
        report.still_rejected.update(decoded.rejected["reason"].to_pylist())
        found, keys = read_coordinates(rows), rows["key"].to_pylist()
        return [_Record(found[row], keys[row], repaired[row] or b"") for row in decoded.event_rows.tolist()]

    def _read(self, origins: Sequence[Coordinates]) -> pa.Table:
        """Key and value of each record; all are of one partition, in offset order."""
        first, last = origins[0], origins[-1]
        among = (pc.field("_broker") == first.log) & (pc.field("_topic") == first.topic) & (pc.field("_partition") == first.partition)
        among = among & (pc.field("_offset") >= first.offset) & (pc.field("_offset") <= last.offset)
        rows = self._lake.read(REJECTED_TABLE, [*COORDINATES, "key", "value"], among)
        wanted = pc.is_in(rows["_offset"], pa.array([origin.offset for origin in origins], pa.int64()))
        return rows.filter(wanted).sort_by("_offset").combine_chunks()

    def _append(self, topic: str, records: Sequence[_Record]) -> Delivery:
        try:
            return self._broker.append(topic, [record.key for record in records], [record.value for record in records])
        except Retryable as error:  # nothing of it is in the log
            return Delivery(len(records), dict.fromkeys(range(len(records)), error.message), {})


def _record_results(pending: Sequence[Entry], delivery: Delivery) -> list[Entry]:
    """The entries whose result is known; the others stay pending, and the next run searches for them."""
    return [
        Entry(entry.record, ReplayStep.FAILED if row in delivery.failed else ReplayStep.PUBLISHED, entry.attempt, entry.digest)
        for row, entry in enumerate(pending)
        if row not in delivery.unsure
    ]


def _split_into_chunks(origins: Sequence[Coordinates]) -> Iterator[list[Coordinates]]:
    """Chunks of one partition each, in offset order, so that a listener's records keep their order."""
    for _, group in groupby(origins, key=lambda origin: origin[:3]):
        partition = list(group)
        for start in range(0, len(partition), _CHUNK_RECORDS):
            yield partition[start : start + _CHUNK_RECORDS]
