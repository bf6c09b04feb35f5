"""Search the log for records that an interrupted replay may have published."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress

from soundlake.broker import Broker, Records
from soundlake.errors import DataError, TopicMissing
from soundlake.operations.dead_letters.ledger import Attempt, Entry
from soundlake.operations.dead_letters.models import ReplayStep

_RECORDS_PER_FETCH = 10_000
_BYTES_PER_FETCH = 32 * 1024 * 1024
_POLL_SECONDS = 1.0
_LONGEST_COUNTED_SECONDS = 2.0


def hash_record(key: bytes | None, value: bytes | None) -> bytes:
    """SHA-256 of key and value; null differs from empty."""
    found = hashlib.sha256()
    for part in (key, value):
        found.update(b"-" if part is None else b"%d:" % len(part) + part)
    return found.digest()


def read_end_offsets(broker: Broker, topic: str) -> str:
    """The end offset of each partition of the topic, as JSON."""
    return json.dumps({number: held.end for number, held in broker.offsets(topic).items()})


def await_in_flight_records(broker: Broker, topics: Collection[str], seconds: float) -> None:
    """Return once the log has answered for that long: what a dead process had sent has been appended by then, or never will be.

    Time in which the log did not answer does not count, since a paused broker reads what was sent to it when it resumes. Therefore the
    offsets are requested every second, and of a slow request at most 2 s count. Raises Unavailable if the log does not answer at all.
    """
    counted, before = 0.0, None
    while counted < seconds:
        for topic in topics:
            with suppress(TopicMissing):
                broker.offsets(topic)
        now = time.monotonic()
        counted += 0.0 if before is None else min(now - before, _LONGEST_COUNTED_SECONDS)
        before = now
        time.sleep(min(_POLL_SECONDS, max(0.0, seconds - counted)))


def resolve_attempt(broker: Broker, attempt: Attempt, entries: Sequence[Entry]) -> list[Entry]:
    """The same records as published or failed, by what the log holds from the attempt's end offsets on.

    Of records with equal bytes as many count as published as are found. If the log cannot be read from there, the rest is unknown.
    """
    found, is_complete = _search(broker, attempt, {entry.digest for entry in entries})
    resolved = []
    for entry in entries:
        found[entry.digest] -= 1
        step = ReplayStep.PUBLISHED if found[entry.digest] >= 0 else ReplayStep.FAILED if is_complete else ReplayStep.UNKNOWN
        resolved.append(Entry(entry.record, step, attempt, entry.digest))
    return resolved


def _search(broker: Broker, attempt: Attempt, digests: set[bytes]) -> tuple[Counter[bytes], bool]:
    """How often each record is in the log from the end offsets on, and whether all of that could be read."""
    found: Counter[bytes] = Counter()
    starts = {int(number): end for number, end in json.loads(attempt.end_offsets).items()}
    try:
        if broker.log_id(attempt.target) != attempt.target_log:
            return found, False
        held = broker.offsets(attempt.target)
        for partition, offsets in held.items():
            offset = max(starts.get(partition, 0), offsets.begin)
            while offset < offsets.end:
                records = broker.fetch(attempt.target, partition, offset, max_records=_RECORDS_PER_FETCH, max_bytes=_BYTES_PER_FETCH)
                if records.log_id != attempt.target_log:
                    return found, False
                found.update(_find(records, digests))
                offset = records.next_offset
    except (TopicMissing, DataError):
        return found, False
    return found, all(offsets.begin <= starts.get(partition, 0) for partition, offsets in held.items())


def _find(records: Records, digests: set[bytes]) -> list[bytes]:
    pairs = zip(records.keys.to_pylist(), records.values.to_pylist(), strict=True)
    return [digest for key, value in pairs if (digest := hash_record(key, value)) in digests]
