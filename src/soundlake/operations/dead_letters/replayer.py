"""Rejected records published anew, each once: what is about to be published is written down before, what became of it after."""

from __future__ import annotations

import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.broker import Broker, Clock, Delivery, read_utc_now
from soundlake.contract import REJECTED_TABLE, TOPIC_BY_NAME, decode_records
from soundlake.contract.refused_rows import REFUSED_ROW_PREFIX
from soundlake.errors import Retryable, Unavailable
from soundlake.lake import Lake
from soundlake.local_files import try_lock
from soundlake.operations.dead_letters.ledger import Attempt, Entry, Ledger
from soundlake.operations.dead_letters.listing import COORDINATES, read_coordinates
from soundlake.operations.dead_letters.log_search import await_arrivals, digest_record, settle, write_marks
from soundlake.operations.dead_letters.models import Coordinates, DeadLetterFilter, ReplayReport, Step
from soundlake.operations.dead_letters.repair_program import Repair, keep_unchanged
from soundlake.progress import Reporter

DLQ_LOCK = "dlq.lock"
"""A file in the home: a replay of rejected records holds its lock."""

LEASE_SECONDS = 300.0
"""A replay of another home that has not ended for so long is taken for dead: longer than an append may take."""

ARRIVAL_SECONDS = 15.0
"""What a killed process has sent to Kafka is in the log when it has been answering for so long, if it ever will be."""

_HELD_SECONDS = 60.0  # a replay that was held so long between writing down and publishing gives up: another may look for its records
_CHUNK_RECORDS = 2_000

Record = tuple[Coordinates, bytes | None, bytes]
"""A record on its way: where it stood, its key, and the value to publish."""


class Replayer:
    """Publishes rejected records anew, one replay of a home at a time.

    Before anything else, the records of a run that was cut short are looked for in the log, once it has been answering for
    `grace_seconds`, so that what was still on its way to the broker has arrived. `checkpoint` is told "begun", "published" and "marked"
    in each chunk.
    """

    def __init__(
        self,
        broker: Broker,
        lake: Lake,
        home: Path,
        reporter: Reporter,
        *,
        grace_seconds: float = 0.0,
        clock: Clock = read_utc_now,
        checkpoint: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._broker, self._lake, self._reporter = broker, lake, reporter
        self._lock, self._owner, self._grace_seconds = home / DLQ_LOCK, f"{socket.gethostname()}:{home}", grace_seconds
        self._clock, self._checkpoint = clock, checkpoint

    def replay(
        self,
        wanted: DeadLetterFilter,
        *,
        target: str | None = None,
        mend: Repair = keep_unchanged,
        again: bool = False,
        limit: int | None = None,
    ) -> ReplayReport:
        """Publish what is wanted to the topic it came from, or to `target`: what decodes there now and was not replayed before.

        With `again` also what was. Raises Unavailable if another replay is at work, TopicMissing if the log lacks the topic, CommitConflict if
        another home's replay came between; running it again is always safe.
        """
        report = ReplayReport()
        with self._only_one():
            ledger = Ledger(self._lake)
            self._settle(ledger, report)
            places = self._choose(wanted, ledger, report, again=again)[:limit]
            self._reporter.begin("publish anew", len(places))
            for done, chunk in enumerate(_cut(places)):
                self._replay_chunk(chunk, target, mend, ledger, report)
                self._reporter.advance(min((done + 1) * _CHUNK_RECORDS, len(places)), f"{report.replayed:,} published")
            self._reporter.end(f"{report.replayed:,} published")
        return report

    def _settle(self, ledger: Ledger, report: ReplayReport) -> None:
        cut_short = ledger.list_open()
        for attempt in cut_short:
            age = (self._clock() - attempt.acted_at).total_seconds()
            if attempt.owner != self._owner and age < LEASE_SECONDS:
                raise Unavailable(
                    f"a replay that {attempt.owner} began {age:.0f} s ago has not ended",
                    next_step=f"wait for its end, or run it there again; after {LEASE_SECONDS:.0f} s it is taken for dead",
                )
        if cut_short and self._grace_seconds:
            self._reporter.begin("wait for what a run cut short had sent")
            await_arrivals(self._broker, {attempt.target for attempt in cut_short}, self._grace_seconds)
            self._reporter.end("it has arrived, or never will")
        for attempt, entries in cut_short.items():
            settled = settle(self._broker, attempt, entries)
            ledger.add(settled, self._clock())
            steps = Counter(entry.step for entry in settled)
            report.found_of_an_earlier_run += steps[Step.PUBLISHED]
            report.lost_of_an_earlier_run += steps[Step.FAILED]
            report.unknown_of_an_earlier_run += steps[Step.UNKNOWN]

    def _choose(self, wanted: DeadLetterFilter, ledger: Ledger, report: ReplayReport, *, again: bool) -> list[Coordinates]:
        places = sorted(read_coordinates(self._lake.read(REJECTED_TABLE, COORDINATES, wanted.rows_where)))
        settled = {place for place, entry in ledger.entries.items() if entry.step in (Step.PUBLISHED, Step.UNKNOWN) and not again}
        chosen = [place for place in places if place not in settled]
        report.replayed_before = len(places) - len(chosen)
        return chosen

    def _replay_chunk(self, places: Sequence[Coordinates], target: str | None, mend: Repair, ledger: Ledger, report: ReplayReport) -> None:
        topic = target or places[0][1]
        records = self._prepare(places, topic, mend, report)
        if not records:
            return
        attempt = Attempt(
            uuid.uuid4().hex, self._clock(), self._owner, topic, self._broker.log_id(topic), write_marks(self._broker, topic)
        )  # fmt: skip
        begun = [Entry(place, Step.BEGUN, attempt, digest_record(key, value)) for place, key, value in records]
        since = time.monotonic()
        ledger.add(begun, attempt.acted_at)
        self._checkpoint("begun")
        if time.monotonic() - since > _HELD_SECONDS:
            raise Unavailable("this replay was held before it could publish", next_step="run it again: it looks first for what it has done")
        delivery = self._append(topic, records)
        self._checkpoint("published")
        ledger.add(_judge(begun, delivery), self._clock())
        self._checkpoint("marked")
        report.replayed += delivery.acknowledged
        report.unsure += len(delivery.unsure)
        report.failed.update(delivery.failed.values())

    def _prepare(self, places: Sequence[Coordinates], topic: str, mend: Repair, report: ReplayReport) -> list[Record]:
        """The records of these places, as they shall be published; those that would be refused again are counted and left out."""
        rows = self._read(places)
        is_event = [not (value or b"").startswith(REFUSED_ROW_PREFIX) for value in rows["value"].to_pylist()]
        report.rows_of_imports += len(rows) - sum(is_event)
        rows = rows.filter(pa.array(is_event, pa.bool_()))
        values = rows["value"].to_pylist()
        mended = mend(values)
        has_bytes = [new is not None or old is None for new, old in zip(mended, values, strict=True)]
        report.left_out += len(rows) - sum(has_bytes)
        rows, mended = rows.filter(pa.array(has_bytes, pa.bool_())), [new for new, kept in zip(mended, has_bytes, strict=True) if kept]
        times = pa.repeat(pa.scalar(int(self._clock().timestamp() * 1000), pa.int64()), len(rows))
        decoded = decode_records(TOPIC_BY_NAME[topic], pa.array(mended, pa.binary()), times)
        report.still_refused.update(decoded.rejected["reason"].to_pylist())
        kept = decoded.event_rows.tolist()
        found, keys = read_coordinates(rows), rows["key"].to_pylist()
        return [(found[row], keys[row], mended[row] or b"") for row in kept]

    def _read(self, places: Sequence[Coordinates]) -> pa.Table:
        """Key and value of each place; they are of one partition, in offset order."""
        broker, topic, partition, first = places[0]
        among = (pc.field("_broker") == broker) & (pc.field("_topic") == topic) & (pc.field("_partition") == partition)
        among = among & (pc.field("_offset") >= first) & (pc.field("_offset") <= places[-1][3])
        rows = self._lake.read(REJECTED_TABLE, [*COORDINATES, "key", "value"], among)
        wanted = pc.is_in(rows["_offset"], pa.array([offset for *_, offset in places], pa.int64()))
        return rows.filter(wanted).sort_by("_offset").combine_chunks()

    def _append(self, topic: str, records: Sequence[Record]) -> Delivery:
        try:
            return self._broker.append(topic, [key for _, key, _ in records], [value for *_, value in records])
        except Retryable as error:  # nothing of it is in the log
            return Delivery(len(records), dict.fromkeys(range(len(records)), error.message), {})

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        with try_lock(self._lock) as free:
            if not free:
                raise Unavailable(f"another replay is running ({self._lock} is taken)", next_step="wait for its end, then run this one")
            yield


def _judge(begun: Sequence[Entry], delivery: Delivery) -> list[Entry]:
    """What is known of the records now; of those that may be in the log nothing is, and the next run looks for them."""
    known = [(row, entry) for row, entry in enumerate(begun) if row not in delivery.unsure]
    return [
        Entry(entry.place, Step.FAILED if row in delivery.failed else Step.PUBLISHED, entry.attempt, entry.digest) for row, entry in known
    ]


def _cut(places: Sequence[Coordinates]) -> Iterator[list[Coordinates]]:
    """Chunks of one partition each, in offset order: a listener's records stay in theirs."""
    for _, group in groupby(places, key=lambda place: place[:3]):
        held = list(group)
        for start in range(0, len(held), _CHUNK_RECORDS):
            yield held[start : start + _CHUNK_RECORDS]
