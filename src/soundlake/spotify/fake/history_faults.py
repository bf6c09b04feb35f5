"""Faults of recently-played: missing cursors and entries, an entry twice, a list that is late."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from soundlake.spotify.fake.catalogue import Json

LATE_LIST, LISTED_TWICE = "late_list", "listed_twice"
"""Faults of the list itself: as it was some seconds ago (`seconds`, 600), and resumed songs with an entry for each part."""

HistoryFault = Callable[[Json, Mapping[str, Any]], Json]


def _change_item(body: Json, number: int, name: str, value: object) -> Json:
    items = list(body["items"])
    if items:
        number %= len(items)
        items[number] = {**items[number], name: value}
    return {**body, "items": items}


def _cut_milliseconds(body: Json, _: Mapping[str, Any]) -> Json:
    """Stamps without milliseconds where they are zero, as older answers have them."""
    return {**body, "items": [{**item, "played_at": item["played_at"].replace(".000Z", "Z")} for item in body["items"]]}


HISTORY_FAULTS: dict[str, HistoryFault] = {
    LATE_LIST: lambda body, _: body,
    LISTED_TWICE: lambda body, _: body,
    "null_cursors": lambda body, _: {**body, "cursors": None},
    "no_cursors": lambda body, _: {name: value for name, value in body.items() if name not in ("cursors", "next")},
    "empty_list": lambda body, _: {**body, "items": [], "cursors": None, "next": None},
    "null_track": lambda body, details: _change_item(body, int(details.get("number", 1)), "track", None),
    "null_stamp": lambda body, details: _change_item(body, int(details.get("number", 1)), "played_at", None),
    "short_stamps": _cut_milliseconds,
}
"""What each kind does to the answer of recently-played."""
