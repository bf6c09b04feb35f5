"""Looking in the log for what an earlier run may have published before it was cut short."""

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
from soundlake.operations.dead_letters.models import Step

_RECORDS_AT_ONCE = 10_000
_BYTES_AT_ONCE = 32 * 1024 * 1024
_ASK_SECONDS = 1.0
_LONGEST_COUNTED_SECONDS = 2.0


def digest_record(key: bytes | None, value: bytes | None) -> bytes:
    """What stands for the bytes of a record."""
    found = hashlib.sha256()
    for part in (key, value):
        found.update(b"-" if part is None else b"%d:" % len(part) + part)
    return found.digest()


def write_marks(broker: Broker, topic: str) -> str:
    """Where the partitions of the topic end now."""
    return json.dumps({number: held.end for number, held in broker.offsets(topic).items()})


def await_arrivals(broker: Broker, topics: Collection[str], grace_seconds: float) -> None:
    """Return when the log has been answering for so long: what a dead process had sent has arrived by then, if it ever will.

    Time in which it did not answer does not count: a broker that is held reads what was sent to it when it is let go. So it is asked again
    and again, and of a question that took long little counts. Raises Unavailable if it does not answer at all.
    """
    counted, before = 0.0, None
    while counted < grace_seconds:
        for topic in topics:
            with suppress(TopicMissing):
                broker.offsets(topic)
        now = time.monotonic()
        counted += 0.0 if before is None else min(now - before, _LONGEST_COUNTED_SECONDS)
        before = now
        time.sleep(min(_ASK_SECONDS, max(0.0, grace_seconds - counted)))


def settle(broker: Broker, attempt: Attempt, entries: Sequence[Entry]) -> list[Entry]:
    """The same records as published or failed, by what the log holds behind the marks of the attempt.

    Of records with equal bytes as many count as published as are there. What can no longer be looked up is unknown.
    """
    found, is_whole = _search(broker, attempt, {entry.digest for entry in entries})
    settled = []
    for entry in entries:
        found[entry.digest] -= 1
        step = Step.PUBLISHED if found[entry.digest] >= 0 else Step.FAILED if is_whole else Step.UNKNOWN
        settled.append(Entry(entry.place, step, attempt, entry.digest))
    return settled


def _search(broker: Broker, attempt: Attempt, digests: set[bytes]) -> tuple[Counter[bytes], bool]:
    """How often each record stands behind the marks, and whether all of that could be read."""
    found: Counter[bytes] = Counter()
    marks = {int(number): end for number, end in json.loads(attempt.marks).items()}
    try:
        if broker.log_id(attempt.target) != attempt.target_log:
            return found, False
        held = broker.offsets(attempt.target)
        for partition, offsets in held.items():
            offset = max(marks.get(partition, 0), offsets.begin)
            while offset < offsets.end:
                records = broker.fetch(attempt.target, partition, offset, max_records=_RECORDS_AT_ONCE, max_bytes=_BYTES_AT_ONCE)
                if records.log_id != attempt.target_log:
                    return found, False
                found.update(_find(records, digests))
                offset = records.offsets[-1].as_py() + 1
    except (TopicMissing, DataError):
        return found, False
    return found, all(offsets.begin <= marks.get(partition, 0) for partition, offsets in held.items())


def _find(records: Records, digests: set[bytes]) -> list[bytes]:
    pairs = zip(records.keys.to_pylist(), records.values.to_pylist(), strict=True)
    return [digest for key, value in pairs if (digest := digest_record(key, value)) in digests]
