"""Personal fields of an export, which are never stored, not even with a refused row."""

from __future__ import annotations

import functools
from collections.abc import Mapping

_NAMES = frozenset({"username", "user_name", "city", "region", "metro_code", "longitude", "latitude"})
_PREFIXES = ("ip_addr", "user_agent")


@functools.lru_cache(maxsize=4096)
def is_personal(name: str) -> bool:
    """Whether the field has the account, the network address, the browser, or the place derived from the address."""
    return name in _NAMES or name.startswith(_PREFIXES)


def strip_personal(row: Mapping[str, object]) -> dict[str, object]:
    """The row without its personal fields."""
    return {name: value for name, value in row.items() if not is_personal(name)}
