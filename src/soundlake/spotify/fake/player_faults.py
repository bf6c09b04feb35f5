"""Faults of the player's answers: wrong progress, missing parts, ids of another market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from soundlake.spotify.fake.catalogue import FakeCatalogue, Json, relink
from soundlake.spotify.fake.player_answers import describe_player, write_changes
from soundlake.spotify.fake.timeline import Segment

_STALE_MS, _OLD_CLOCK_MS = 10_000, 12_000


@dataclass(frozen=True, slots=True)
class Moment:
    """What a fault of the player can look at: the segments of now, before, and the last that ran, the time, and the fault's own details."""

    segment: Segment | None
    before: Segment | None
    last_run: Segment | None
    now_ms: int
    catalogue: FakeCatalogue
    details: Mapping[str, Any]

    def read_ms(self, otherwise_ms: int) -> int:
        """The fault's `seconds`, in milliseconds."""
        return round(float(self.details.get("seconds", otherwise_ms / 1_000)) * 1_000)


PlayerFault = Callable[[Json | None, Moment], Json | None]


def _hold_progress_back(body: Json | None, moment: Moment) -> Json | None:
    """The progress of some seconds ago; it moves again with the next change."""
    segment = moment.segment
    if body is not None and segment is not None and body["item"] is not None:
        body["progress_ms"] = max(segment.progress_ms, segment.find_progress(moment.now_ms) - moment.read_ms(_STALE_MS))
    return body


def _run_past_end(body: Json | None, moment: Moment) -> Json | None:
    """A player that is gone: the last song is still reported as playing, and its progress rises with the clock."""
    if body is not None and body["is_playing"]:
        return body
    last = moment.last_run
    return body if last is None or last.is_offline else describe_player(last, moment.now_ms, moment.catalogue)


def _keep_old_clock(body: Json | None, moment: Moment) -> Json | None:
    """For some seconds after a change, the new song with the old one's progress."""
    segment, before = moment.segment, moment.before
    if body is None or segment is None or before is None or before.track is None or segment.track in (None, before.track):
        return body
    if moment.now_ms - segment.start_ms < moment.read_ms(_OLD_CLOCK_MS):
        body["progress_ms"] = before.find_progress(before.end_ms) + moment.now_ms - segment.start_ms
    return body


def _null_item(body: Json | None, moment: Moment) -> Json | None:
    return body and {**body, "item": None, "currently_playing_type": moment.details.get("type", "unknown")}


def _relink_item(body: Json | None, _: Moment) -> Json | None:
    """The same recording under the id of another market, with the one that was asked for in `linked_from`."""
    item = body and body["item"]
    if body is None or item is None or item["type"] != "track" or item["id"] is None:
        return body
    other = relink(item["id"])
    linked = {name: item[name] for name in ("external_urls", "href", "id", "type", "uri")}
    return {**body, "item": {**item, "id": other, "uri": f"spotify:track:{other}", "linked_from": linked}}


def _add_unknown(body: Json | None, _: Moment) -> Json | None:
    unknown = {"smart_shuffle": True, "nested": {"deep": [{"deeper": None}]}}
    return body and {**body, **unknown, "item": body["item"] and {**body["item"], **unknown}}


def _change(**changes: Any) -> PlayerFault:  # noqa: ANN401  # JSON
    """A fault that writes fields, as `player_answers.write_changes` does."""
    return lambda body, _: body and write_changes(body, changes)


PLAYER_FAULTS: dict[str, PlayerFault] = {
    "stale_progress": _hold_progress_back,
    "past_end": _run_past_end,
    "old_clock": _keep_old_clock,
    "null_item": _null_item,
    "relinked": _relink_item,
    "zero_progress": _change(progress_ms=0),
    "null_progress": _change(progress_ms=None),
    "null_context": _change(context=None),
    "no_context": _change(omit=["context"]),
    "null_device": _change(device=None),
    "no_device": _change(omit=["device"]),
    "null_device_id": _change(device_id=None, is_restricted=True, volume_percent=None),
    "unknown_device": _change(**{"device.type": "Hologram"}),
    "unknown_type": _change(currently_playing_type="hologram"),
    "unknown_fields": _add_unknown,
    "missing_fields": _change(omit=["actions", "shuffle_state", "repeat_state", "timestamp", "currently_playing_type"]),
    "changes": lambda body, moment: body and write_changes(body, dict(moment.details.get("with", {}))),
}
"""What each kind does to the answer of the player; None is 204."""
