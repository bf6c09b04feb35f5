"""The places of a deployment that may hold a listener."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from soundlake.lake import Lake
from soundlake.operations.erasure.models import Kept
from soundlake.spotify.leaving import ConnectedAccounts

Find = Callable[[pa.Array, pa.Array], npt.NDArray[np.bool_]]


class ErasableLog(Protocol):
    """An event log that can erase single records; Kafka cannot."""

    def count(self, find: Find) -> int:
        """The number of records that `find` (keys and values to a mask) chooses."""

    def erase(self, find: Find) -> int:
        """Erase these records, and the space that they were in; returns how many."""


@dataclass(frozen=True)
class Places:
    """Everything that an erasure touches. `kept` names what only retention deletes; `hold_imports` waits for the import that runs.

    `transform` builds the warehouse and publishes it, after waiting so many seconds at most for another build; `forget_cache` deletes what
    the cache keeps of listeners.
    """

    home: Path
    lake: Lake
    warehouse: Path
    accounts: ConnectedAccounts
    log: ErasableLog | None
    kept: Callable[[], tuple[Kept, ...]]
    transform: Callable[[float], object]
    hold_imports: Callable[[], AbstractContextManager[object]]
    forget_cache: Callable[[Collection[str]], None] = lambda _user_ids: None
