"""Files of a home that are no tables: logs, and the state of a demo with one's own history."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from soundlake.contract.mentions import OwnerSearch
from soundlake.operations.generator.feed import TRACKS_FILE
from soundlake.operations.generator.state import FILE, load_state

_LOGS = ("logs/*.log", "logs/*.log.*")


def count_mentions(home: Path, search: OwnerSearch) -> int:
    """The number of logs that name a listener."""
    return sum(search.mask(text) != text for text in (path.read_bytes() for path in _list_logs(home)))


def mask_logs(home: Path, search: OwnerSearch) -> int:
    """Write asterisks over every id in the logs, in place: their writers hold them open. Returns the number of logs."""
    masked = 0
    for path in _list_logs(home):
        with path.open("r+b") as log:
            text = log.read()
            hidden = search.mask(text)
            if hidden != text:
                log.seek(0)
                log.write(hidden)
                masked += 1
    return masked


def find_demo_files(home: Path, user_ids: Collection[str]) -> list[Path]:
    """The state of a demo that was made from the history of one of these listeners, with the tracks of it."""
    state = load_state(home)
    if state is None or state.person not in user_ids:
        return []
    return [path for path in (home / TRACKS_FILE, home / FILE) if path.exists()]


def _list_logs(home: Path) -> list[Path]:
    return sorted(path for pattern in _LOGS for path in home.glob(pattern) if path.is_file())
