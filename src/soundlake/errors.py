"""The exceptions of this project.

SoundlakeError
├── Retryable                 the same call may work later
│   ├── Unavailable           a server, a disk or a lock is not available now
│   └── TopicRecreated        the topic was deleted and created again: read it from its beginning
└── Permanent                 the same call will fail again
    ├── UsageError            the request cannot be carried out (exit code 2)
    │   ├── SettingsError     a setting is missing or invalid
    │   └── TopicMissing      the topic does not exist
    └── DataError             the data does not allow to continue (exit code 3)
        ├── OffsetGap         the log no longer holds the next offset
        ├── TopicCompacted    the log deletes records by key
        ├── LogReplaced       the log ends below the position of the lake
        └── PositionMoved     another process owns the partition
"""

from __future__ import annotations


class SoundlakeError(Exception):
    """Base class of the exceptions that this project raises; `next_step` says what the user can do."""

    exit_code = 1

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return self.message if self.next_step is None else f"{self.message}\n→ {self.next_step}"


class Retryable(SoundlakeError):
    """The same call may work later."""


class Unavailable(Retryable):
    """A server, a disk or a lock is not available now."""


class TopicRecreated(Retryable):
    """The topic was deleted and created again: its records are those of a new log, which begins at its own first offset."""

    def __init__(self, topic: str, before: str, now: str) -> None:
        super().__init__(
            f"{topic} was deleted and created again: its log was {before} and is now {now}",
            next_step="nothing: the new log is read from its beginning",
        )
        self.topic, self.before, self.now = topic, before, now


class Permanent(SoundlakeError):
    """The same call will fail again."""


class UsageError(Permanent):
    """The request cannot be carried out."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is missing or invalid."""


class TopicMissing(UsageError):
    """The topic does not exist."""

    def __init__(self, topic: str, *, next_step: str | None = None) -> None:
        super().__init__(f"the topic {topic} does not exist: create it first", next_step=next_step)
        self.topic = topic


class DataError(Permanent):
    """The data does not allow to continue."""

    exit_code = 3


class OffsetGap(DataError):
    """The log no longer holds the next offset: records between the lake and the log are missing."""

    def __init__(self, topic: str, partition: int, expected: int, first_available: int) -> None:
        self.gap = f"{topic}[{partition}]:{expected}-{first_available - 1}"
        super().__init__(
            f"{topic}[{partition}]: offset {expected} is next, but the log begins at {first_available}; "
            f"{first_available - expected} records are missing",
            next_step=f"restore the log, or accept the loss: `soundlake sink --accept-gap '{self.gap}'`",
        )
        self.topic, self.partition = topic, partition
        self.expected, self.first_available = expected, first_available


class TopicCompacted(DataError):
    """The topic's cleanup policy deletes records by key: what is missing in the log could not be noticed."""

    def __init__(self, topic: str, policy: str) -> None:
        super().__init__(
            f"{topic} has cleanup.policy={policy}: compaction deletes records, and a reader cannot notice it",
            next_step="set cleanup.policy=delete at once: `soundlake topics create --repair`; what is deleted before goes unnoticed",
        )
        self.topic, self.policy = topic, policy


class LogReplaced(DataError):
    """The log ends below the position of the lake: it is an older copy."""

    def __init__(self, topic: str, partition: int, position: int, end_offset: int) -> None:
        super().__init__(
            f"{topic}[{partition}]: the lake holds offsets up to {position}, but the log ends at {end_offset}; "
            "it is probably an old copy that was restored",
            next_step="restore the newer log, or move this one away so that a new one is created",
        )
        self.topic, self.partition = topic, partition
        self.position, self.end_offset = position, end_offset


class PositionMoved(DataError):
    """Another process moved the position of a partition that this process owned."""

    def __init__(self, table: str, partition: str, expected: int, found: int) -> None:
        super().__init__(
            f"{table}: another sink moved the position of {partition} from {expected} to {found}; this sink stops",
            next_step="only one sink may own a partition: stop the other one, or keep this one stopped",
        )
        self.table, self.partition = table, partition
        self.expected, self.found = expected, found
