"""Durations on the command line."""

from __future__ import annotations

import re

from soundlake.errors import UsageError

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def parse_duration(text: str) -> float:
    """Seconds in `90`, `90s`, `5m`, `2h` or `1d`. Raises UsageError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a duration", next_step="write it like 90s, 5m or 2h")
    return float(found[1]) * _SECONDS[found[2]]
