"""What became of everything that was published: nothing is unaccounted for."""

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
class PublishAccount:
    """The fate of each row published, `sent = acknowledged + failed + unsure`; two accounts add up to one over the rows of both.

    `acknowledged_rows`: durable in the log. `unsure_rows`: the connection or the disk broke, they may be in it or not.
    All others failed and are not in it; `failed_by_reason` counts why.
    """

    acknowledged_rows: Mask = field(default_factory=_no_rows)
    unsure_rows: Mask = field(default_factory=_no_rows)
    failed_by_reason: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.acknowledged_rows & self.unsure_rows).any() or sum(self.failed_by_reason.values()) != self.failed:
            raise ValueError("an account in which a row has no fate, or two")

    @property
    def sent(self) -> int:
        """How many rows were to be published."""
        return len(self.acknowledged_rows)

    @property
    def acknowledged(self) -> int:
        """How many are durable in the log."""
        return int(self.acknowledged_rows.sum())

    @property
    def unsure(self) -> int:
        """How many may be in the log or not."""
        return int(self.unsure_rows.sum())

    @property
    def failed(self) -> int:
        """How many are not in the log."""
        return self.sent - self.acknowledged - self.unsure

    def __add__(self, other: PublishAccount) -> PublishAccount:
        return PublishAccount(
            np.concatenate((self.acknowledged_rows, other.acknowledged_rows)),
            np.concatenate((self.unsure_rows, other.unsure_rows)),
            dict(Counter(self.failed_by_reason) + Counter(other.failed_by_reason)),
        )


class AccountBook:
    """Takes down the fate of rows as it becomes known; a row of which nothing was heard is open."""

    def __init__(self, rows: int) -> None:
        self._open = np.ones(rows, np.bool_)
        self._acknowledged = np.zeros(rows, np.bool_)
        self._unsure = np.zeros(rows, np.bool_)
        self._failed: Counter[str] = Counter()

    def record_delivery(self, rows: Rows, delivery: Delivery) -> None:
        """What the broker said of an append of these rows, in this order."""
        self._open[rows] = False
        self._acknowledged[rows] = True
        self._acknowledged[rows[[*delivery.failed, *delivery.unsure]]] = False
        self._unsure[rows[list(delivery.unsure)]] = True
        self._failed.update(delivery.failed.values())

    def record_failure(self, rows: Rows, reason: str) -> None:
        """These rows are not in the log."""
        self._open[rows] = False
        self._failed[reason] += len(rows)

    def close(self, reason: str = "") -> PublishAccount:
        """The account; what is still open failed for the given reason."""
        still_open = np.flatnonzero(self._open)
        if len(still_open):
            self.record_failure(still_open, reason)
        return PublishAccount(self._acknowledged, self._unsure, dict(self._failed))


def refuse_all(records: Sequence[bytes | None], reason: str) -> Delivery:
    """The delivery of an append of which nothing is in the log."""
    return Delivery(len(records), dict.fromkeys(range(len(records)), reason), {})
