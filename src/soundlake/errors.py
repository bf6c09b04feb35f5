"""What can go wrong, as one small tree.

SoundlakeError
├── Retryable                 the same call may work later
│   ├── Unavailable           a server, a disk or a lock that does not answer now
│   └── LogRemade             the log behind a topic is a new one: to be read from its beginning
└── Permanent                 the same call will fail again
    ├── UsageError            the caller asked for something impossible (exit code 2)
    │   ├── SettingsError     a setting is missing or makes no sense
    │   └── TopicMissing      the log has no such topic
    └── DataError             the data refuses (exit code 3)
        ├── OffsetGap         the log no longer holds what comes next
        ├── LogReplaced       the log is older or other than the lake knows it
        └── PositionMoved     another process owns the partition
"""

from __future__ import annotations


class SoundlakeError(Exception):
    """Anything this project raises on purpose; `next_step` tells the user what to do about it."""

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
    """A server, a disk or a lock that does not answer now."""


class LogRemade(Retryable):
    """The topic was deleted and made anew: what is read from now on is another log, and begins anew."""

    def __init__(self, topic: str, before: str, now: str) -> None:
        super().__init__(
            f"{topic} was made anew: its log was {before} and is {now}", next_step="nothing: the new log is read from its beginning"
        )
        self.topic, self.before, self.now = topic, before, now


class Permanent(SoundlakeError):
    """The same call will fail again."""


class UsageError(Permanent):
    """The caller asked for something that cannot be."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is missing or makes no sense."""


class TopicMissing(UsageError):
    """The log has no such topic."""

    def __init__(self, topic: str, *, next_step: str | None = None) -> None:
        super().__init__(f"there is no topic {topic} in this log: it has to be made first", next_step=next_step)
        self.topic = topic


class DataError(Permanent):
    """The data refuses: what was found does not allow to go on."""

    exit_code = 3


class OffsetGap(DataError):
    """The log no longer holds the offset that comes next: records are missing between lake and log."""

    def __init__(self, topic: str, partition: int, expected: int, first_available: int) -> None:
        super().__init__(
            f"{topic}[{partition}]: offset {expected} is next, but the log begins at {first_available}; "
            f"{first_available - expected} records are gone",
            next_step="restore the log, or accept the loss by making the topic anew",
        )
        self.topic, self.partition = topic, partition
        self.expected, self.first_available = expected, first_available


class LogReplaced(DataError):
    """The log ends below the position of the lake: it is an older copy of itself."""

    def __init__(self, topic: str, partition: int, position: int, end_offset: int) -> None:
        super().__init__(
            f"{topic}[{partition}]: the lake holds offsets up to {position}, but the log ends at {end_offset}; "
            "it looks like an old copy restored",
            next_step="bring back the newer log, or move this one away so that a new one is made",
        )
        self.topic, self.partition = topic, partition
        self.position, self.end_offset = position, end_offset


class PositionMoved(DataError):
    """Another process moved the position of a partition that this one thought its own."""

    def __init__(self, table: str, partition: str, expected: int, found: int) -> None:
        super().__init__(
            f"{table}: another sink moved {partition} from {expected} to {found}; this one stops",
            next_step="one sink owns a partition: stop the other one, or leave this one stopped",
        )
        self.table, self.partition = table, partition
        self.expected, self.found = expected, found
