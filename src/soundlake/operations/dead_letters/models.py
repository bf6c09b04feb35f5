"""Which rejected records are meant, how one is described, and the result of a replay."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow.compute as pc

from soundlake.errors import UsageError
from soundlake.operations.dead_letters.escaped_bytes import escape_bytes


class Coordinates(NamedTuple):
    """Where a record is: id of the log, topic, partition, offset."""

    log: str
    topic: str
    partition: int
    offset: int


class ReplayStep(StrEnum):
    """The state of a record's replay, as bronze/replays stores it; the last one counts."""

    PENDING = "begun"  # it may be in the log: the next run searches for it before it does anything else
    PUBLISHED = "published"
    FAILED = "failed"  # it is not in the log, and may be replayed
    UNKNOWN = "unknown"  # the log that held it is gone: counts as published unless asked for again


@dataclass(frozen=True)
class DeadLetterFilter:
    """Rejected records with one of the reasons and one of the topics (none given: any), rejected at `since` or later."""

    reasons: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    since: datetime | None = None

    @property
    def rows_where(self) -> pc.Expression:
        """The same as a filter on bronze/rejected."""
        found = pc.scalar(True)  # noqa: FBT003  # the neutral element of `and`
        if self.reasons:
            found = found & pc.field("reason").isin(list(self.reasons))
        if self.topics:
            found = found & pc.field("_topic").isin(list(self.topics))
        return found if self.since is None else found & (pc.field("_ingested_at") >= pc.scalar(self.since))


@dataclass(frozen=True)
class RecordId:
    """A rejected record as the user names it: `TOPIC/PARTITION/OFFSET`, or `LOG/TOPIC/PARTITION/OFFSET` if several logs have one there."""

    topic: str
    partition: int
    offset: int
    log: str | None = None

    @classmethod
    def parse(cls, text: str) -> RecordId:
        """Raises UsageError for a text of another form."""
        *log, topic, partition, offset = ("", "", *text.rsplit("/", 3))[-4:]
        if not topic or not (partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()):
            raise UsageError(f"{text}: not the id of a record", next_step="write TOPIC/PARTITION/OFFSET, as `soundlake dlq list` shows it")
        return cls(topic, int(partition), int(offset), log[0] or None)

    def __str__(self) -> str:
        path = f"{self.topic}/{self.partition}/{self.offset}"
        return path if self.log is None else f"{self.log}/{path}"


@dataclass(frozen=True)
class DeadLetter:
    """A rejected record in a list: its coordinates, when and why it was rejected, size and preview, when it was replayed (UTC)."""

    topic: str
    partition: int
    offset: int
    log: str
    rejected_at: datetime
    reason: str
    detail: str
    event_id: str | None
    key: str
    bytes: int
    preview: str
    replay: ReplayStep | None
    replayed_at: datetime | None

    @property
    def id(self) -> RecordId:
        """The id for `soundlake dlq show`."""
        return RecordId(self.topic, self.partition, self.offset)


@dataclass(frozen=True)
class RejectedRecord:
    """One rejected record with everything that is known of it; `detail` and `key` of the summary are not shortened."""

    summary: DeadLetter
    value: bytes | None

    @property
    def escaped_value(self) -> str:
        """The whole value, safe to print."""
        return escape_bytes(self.value)

    def as_json(self) -> dict[str, Any]:
        """Every field by name; the value as text that is safe to print, and its bytes in base 64."""
        encoded = None if self.value is None else base64.b64encode(self.value).decode()
        return {"id": str(self.summary.id), **asdict(self.summary), "value": self.escaped_value, "value_base64": encoded}


@dataclass(frozen=True)
class Listing:
    """The number of matching records, and the newest of them."""

    total: int
    replayed: int
    by_reason: dict[str, int]
    by_topic: dict[str, int]
    records: tuple[DeadLetter, ...]

    def as_json(self) -> dict[str, Any]:
        """Every field by name."""
        return {**asdict(self), "records": [{"id": str(record.id), **asdict(record)} for record in self.records]}


@dataclass
class ReplayReport:
    """What happened to the matching records, each counted once; `interrupted_…` counts records of earlier runs that did not end."""

    replayed: int = 0
    replayed_before: int = 0
    still_rejected: Counter[str] = field(default_factory=Counter)
    import_rows: int = 0
    left_out: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    unsure: int = 0
    interrupted_published: int = 0
    interrupted_lost: int = 0
    interrupted_unknown: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether the log acknowledged every record that was published."""
        return not self.failed and not self.unsure

    def as_json(self) -> dict[str, Any]:
        """Every field by name."""
        return {**vars(self), "still_rejected": dict(self.still_rejected), "failed": dict(self.failed)}
