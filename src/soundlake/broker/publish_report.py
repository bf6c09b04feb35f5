"""The outcome of a publish: every row is acknowledged, failed or unsure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from soundlake.broker.protocol import Delivery

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def _no_rows() -> Mask:
    return np.zeros(0, np.bool_)


@dataclass(frozen=True, eq=False)
class PublishReport:
    """The outcome of each row published, `sent = acknowledged + failed + unsure`; reports can be added, rows in order.

    `acknowledged_rows`: durable in the log. `unsure_rows`: the connection or the disk failed before an answer; in the log or not.
    All other rows failed and are not in the log; `failed_by_reason` counts them.
    """

    acknowledged_rows: Mask = field(default_factory=_no_rows)
    unsure_rows: Mask = field(default_factory=_no_rows)
    failed_by_reason: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.acknowledged_rows & self.unsure_rows).any() or sum(self.failed_by_reason.values()) != self.failed:
            raise ValueError("a publish report must have exactly one outcome for each row")

    @property
    def sent(self) -> int:
        """How many rows were to be published."""
        return len(self.acknowledged_rows)

    @property
    def acknowledged(self) -> int:
        """How many rows are durable in the log."""
        return int(self.acknowledged_rows.sum())

    @property
    def unsure(self) -> int:
        """How many rows may be in the log or not."""
        return int(self.unsure_rows.sum())

    @property
    def failed(self) -> int:
        """How many rows are not in the log."""
        return self.sent - self.acknowledged - self.unsure

    def __add__(self, other: PublishReport) -> PublishReport:
        return PublishReport(
            np.concatenate((self.acknowledged_rows, other.acknowledged_rows)),
            np.concatenate((self.unsure_rows, other.unsure_rows)),
            dict(Counter(self.failed_by_reason) + Counter(other.failed_by_reason)),
        )


class PublishReportBuilder:
    """Collects the outcome of rows as it becomes known; rows without one are pending."""

    def __init__(self, rows: int) -> None:
        self._pending = np.ones(rows, np.bool_)
        self._acknowledged = np.zeros(rows, np.bool_)
        self._unsure = np.zeros(rows, np.bool_)
        self._failed: Counter[str] = Counter()

    def record_delivery(self, rows: Rows, delivery: Delivery) -> None:
        """Add the broker's answer to an append of these rows, in this order."""
        self._pending[rows] = False
        self._acknowledged[rows] = True
        self._acknowledged[rows[[*delivery.failed, *delivery.unsure]]] = False
        self._unsure[rows[list(delivery.unsure)]] = True
        self._failed.update(delivery.failed.values())

    def record_failure(self, rows: Rows, reason: str) -> None:
        """Add rows that are not in the log."""
        self._pending[rows] = False
        self._failed[reason] += len(rows)

    def build(self, reason: str = "") -> PublishReport:
        """The report; rows still pending count as failed for the given reason."""
        pending = np.flatnonzero(self._pending)
        if len(pending):
            self.record_failure(pending, reason)
        return PublishReport(self._acknowledged, self._unsure, dict(self._failed))


def fail_all(records: Sequence[bytes | None], reason: str) -> Delivery:
    """The delivery of an append of which nothing is in the log."""
    return Delivery(len(records), dict.fromkeys(range(len(records)), reason), {})
