"""The events of a campaign, a record of those that were acknowledged, and the comparison of bronze with it.

The files have the format of an independent checker: truth*.ndjson has the valid events, broken*.ndjson the SHA-256 of the others. The
comparison here reads the Delta tables with deltalake and compares in plain Python, without code of the project.
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deltalake import DeltaTable

TABLES = {
    "user_plays": ("plays", "play"),
    "user_skips": ("skips", "skip"),
    "user_likes": ("likes", "like"),
    "user_history": ("history", "play"),
}
TITLES = ("Ночь", "دوباره سلام", "夜に駆ける", "naïve\\café", 'say "hi"', "🎧🎶", "plain")
BROKEN = (b"", b"{", b'{"event_id":', b"\xff\xfe", b"[]", b'{"event_type":"play"}', b"null")


def make_event(rng: random.Random, kind: str, now: datetime) -> dict[str, object]:
    """One valid event of the last few hours."""
    played_at = now - timedelta(seconds=rng.randrange(5 * 3600), microseconds=rng.randrange(1_000_000))
    return {
        "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "event_type": kind,
        "user_id": f"listener-{rng.randrange(40)}",
        "played_at": played_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "track_id": f"track-{rng.randrange(300)}",
        "track_name": rng.choice(TITLES),
        "duration_ms": rng.randrange(1_000, 600_000),
        "source": "generator",
    }


@dataclass
class Truth:
    """The acknowledged records."""

    folder: Path
    events: list[dict[str, object]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def publish(self, broker: object, rng: random.Random, topic: str, count: int, now: datetime) -> None:
        """Append valid, repeated and undecodable records at once, and keep them; all must be acknowledged."""
        kind = TABLES[topic][1]
        events = [make_event(rng, kind, now) for _ in range(count)]
        events += [rng.choice(events) for _ in range(count // 50)]
        broken = [rng.choice(BROKEN) + b" " * 3 + uuid.uuid4().hex.encode() for _ in range(1 + count // 60)]
        records = [(str(event["user_id"]).encode(), json.dumps(event, ensure_ascii=False).encode()) for event in events]
        records += [(b"broken", value) for value in broken]
        rng.shuffle(records)
        delivery = broker.append(topic, [key for key, _ in records], [value for _, value in records])
        assert delivery.acknowledged == len(records), delivery
        self.events += events
        self.broken += [hashlib.sha256(value).hexdigest() for value in broken]

    def write(self) -> tuple[Path, Path]:
        """Write the two files and return their paths, valid events first."""
        good, broken = self.folder / "truth.ndjson", self.folder / "broken.ndjson"
        good.write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in self.events), "utf-8")
        broken.write_text("".join(json.dumps({"sha256": digest}) + "\n" for digest in self.broken), "utf-8")
        return good, broken


def _signature(event: dict[str, object]) -> str:
    moment = event["played_at"]
    at = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    fields = ("event_id", "event_type", "user_id", "track_id", "track_name", "duration_ms", "source")
    return json.dumps([at.astimezone(UTC).isoformat(), *(event[name] for name in fields)])


def find_differences(lake: str, storage_options: dict[str, str], truth: Truth) -> dict[str, int]:
    """Counts of differences by kind; all zero if every acknowledged record is stored exactly once, unchanged, in its partition."""
    stored: Counter[str] = Counter()
    places: Counter[tuple[object, ...]] = Counter()
    found = Counter(
        lost=0, unexpected=0, rejected_lost=0, rejected_unexpected=0, duplicated=0, gaps=0, positions=0, misplaced=0, out_of_order=0
    )  # fmt: skip
    tables = {}
    for name, _ in TABLES.values():
        tables[name] = DeltaTable(f"{lake}/bronze/{name}", storage_options=storage_options)
        newest: dict[tuple[object, ...], tuple[int, int]] = {}
        for row in sorted(tables[name].to_pyarrow_table().to_pylist(), key=lambda row: (row["_batch"], row["_offset"])):
            stored[_signature(row)] += 1
            places[(row["_broker"], row["_topic"], row["_partition"], row["_offset"])] += 1
            folder = tuple(row[part] for part in ("year", "month", "day", "hour") if part in row)
            found["misplaced"] += folder != tuple(row["played_at"].astimezone(UTC).strftime("%Y %m %d %H").split()[: len(folder)])
            batch, offset = newest.get((row["_topic"], row["_partition"]), (0, -1))
            found["out_of_order"] += row["_batch"] < batch or row["_offset"] <= offset
            newest[(row["_topic"], row["_partition"])] = (row["_batch"], row["_offset"])
    rejected: Counter[str] = Counter()
    for row in DeltaTable(f"{lake}/bronze/rejected", storage_options=storage_options).to_pyarrow_table().to_pylist():
        rejected[hashlib.sha256(row["value"]).hexdigest()] += 1
        places[(row["_broker"], row["_topic"], row["_partition"], row["_offset"])] += 1
    wanted, broken = Counter(map(_signature, truth.events)), Counter(truth.broken)
    found["lost"], found["unexpected"] = (wanted - stored).total(), (stored - wanted).total()
    found["rejected_lost"], found["rejected_unexpected"] = (broken - rejected).total(), (rejected - broken).total()
    found["duplicated"] = sum(count - 1 for count in places.values())
    ends: dict[tuple[object, ...], list[int]] = {}
    for *partition, offset in places:
        ends.setdefault(tuple(partition), []).append(offset)
    for (broker, topic, partition), offsets in ends.items():
        found["gaps"] += max(offsets) + 1 - len(offsets)
        position = tables[TABLES[str(topic)][0]].transaction_version(f"sink/{broker}/{topic}/{partition}")
        found["positions"] += position != max(offsets)
    return dict(found)
