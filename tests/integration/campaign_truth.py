"""Events made for a campaign, the truth kept of those acknowledged, and the reckoning of bronze against it.

The files have the form of an independent checker's: truth*.ndjson the good events, broken*.ndjson the SHA-256 of the others. The
reckoning here reads the Delta tables with deltalake and compares in plain Python, with nothing of the project.
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


def make_event(chance: random.Random, kind: str, now: datetime) -> dict[str, object]:
    """One good event of the last few hours."""
    played_at = now - timedelta(seconds=chance.randrange(5 * 3600), microseconds=chance.randrange(1_000_000))
    return {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "event_type": kind,
        "user_id": f"listener-{chance.randrange(40)}",
        "played_at": played_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "track_id": f"track-{chance.randrange(300)}",
        "track_name": chance.choice(TITLES),
        "duration_ms": chance.randrange(1_000, 600_000),
        "source": "generator",
    }


@dataclass
class Truth:
    """What was acknowledged, kept as it happens."""

    folder: Path
    events: list[dict[str, object]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def publish(self, broker: object, chance: random.Random, topic: str, count: int, now: datetime) -> None:
        """Append good, repeated and undecodable records in one go, and write down the acknowledged ones."""
        kind = TABLES[topic][1]
        events = [make_event(chance, kind, now) for _ in range(count)]
        events += [chance.choice(events) for _ in range(count // 50)]
        broken = [chance.choice(BROKEN) + b" " * 3 + uuid.uuid4().hex.encode() for _ in range(1 + count // 60)]
        records = [(str(event["user_id"]).encode(), json.dumps(event, ensure_ascii=False).encode()) for event in events]
        records += [(b"broken", value) for value in broken]
        chance.shuffle(records)
        delivery = broker.append(topic, [key for key, _ in records], [value for _, value in records])
        assert delivery.acknowledged == len(records), delivery
        self.events += events
        self.broken += [hashlib.sha256(value).hexdigest() for value in broken]

    def write(self) -> tuple[Path, Path]:
        """The truth as files; returns those of the good and of the broken."""
        good, broken = self.folder / "truth.ndjson", self.folder / "broken.ndjson"
        good.write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in self.events), "utf-8")
        broken.write_text("".join(json.dumps({"sha256": digest}) + "\n" for digest in self.broken), "utf-8")
        return good, broken


def _signature(event: dict[str, object]) -> str:
    moment = event["played_at"]
    at = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    fields = ("event_id", "event_type", "user_id", "track_id", "track_name", "duration_ms", "source")
    return json.dumps([at.astimezone(UTC).isoformat(), *(event[name] for name in fields)])


def reckon(lake: str, storage_options: dict[str, str], truth: Truth) -> dict[str, int]:
    """Offenders by kind; all zero when every acknowledged record is stored exactly once, unchanged, where it belongs."""
    stored: Counter[str] = Counter()
    places: Counter[tuple[object, ...]] = Counter()
    found = Counter(lost=0, invented=0, refused_lost=0, refused_invented=0, doubled=0, gaps=0, positions=0, misplaced=0, disordered=0)
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
            found["disordered"] += row["_batch"] < batch or row["_offset"] <= offset
            newest[(row["_topic"], row["_partition"])] = (row["_batch"], row["_offset"])
    refused: Counter[str] = Counter()
    for row in DeltaTable(f"{lake}/bronze/rejected", storage_options=storage_options).to_pyarrow_table().to_pylist():
        refused[hashlib.sha256(row["value"]).hexdigest()] += 1
        places[(row["_broker"], row["_topic"], row["_partition"], row["_offset"])] += 1
    wanted, broken = Counter(map(_signature, truth.events)), Counter(truth.broken)
    found["lost"], found["invented"] = (wanted - stored).total(), (stored - wanted).total()
    found["refused_lost"], found["refused_invented"] = (broken - refused).total(), (refused - broken).total()
    found["doubled"] = sum(count - 1 for count in places.values())
    ends: dict[tuple[object, ...], list[int]] = {}
    for *partition, offset in places:
        ends.setdefault(tuple(partition), []).append(offset)
    for (broker, topic, partition), offsets in ends.items():
        found["gaps"] += max(offsets) + 1 - len(offsets)
        position = tables[TABLES[str(topic)][0]].transaction_version(f"sink/{broker}/{topic}/{partition}")
        found["positions"] += position != max(offsets)
    return dict(found)
