"""The variants of a case of the kind `player`, which it describes in words: the same plays are right in each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

State = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """The states of a variant; plays that start at `moved_from_s` or later do so `later_s` later. `given` has further members."""

    states: list[State]
    later_s: float = 0
    moved_from_s: float = 0
    given: Mapping[str, Any] = field(default_factory=dict)


def make_variant(states: list[State], words: str) -> Variant | None:
    """The variant of these words; None if they are not understood."""
    for pattern, change in _VARIANTS.items():
        found = re.match(pattern, words)
        if found:
            return change(states, *found.groups())
    return None


def move_plays(expect: Mapping[str, Any], variant: Variant) -> Mapping[str, Any]:
    """What is right in the variant."""
    plays = [
        play | {"start": play["start"] + variant.later_s} if play.get("start", -1) >= variant.moved_from_s else play
        for play in expect.get("plays", ())
    ]
    return {**expect, "plays": plays} if plays else expect


def _restart_at(states: list[State], *moments: str) -> Variant:
    return Variant(states, given={"restart_at": [float(moment) for moment in moments]})


def _list_again(states: list[State], track: str, *stamps: str) -> Variant:
    return Variant(states, given={"recent": [[track, float(stamp)] for stamp in stamps]})


def _fail_first(states: list[State], *_: str) -> Variant:
    return Variant(states, given={"first_call_fails": True})


def _empty_in_pause(states: list[State], from_s: str) -> Variant:
    changed: list[State] = []
    for state in states:
        start, end = (state.get("hold") or [0, 0])[:2]
        if not start <= float(from_s) < end:
            changed.append(state)
            continue
        changed += [state | {"hold": [start, float(from_s), *state["hold"][2:]]}, {"none": [float(from_s), end]}]
    return Variant(changed)


def _pause_in_empty(states: list[State], position_ms: str, later_s: str) -> Variant:
    changed: list[State] = []
    later, moved_from_s = 0, 0
    for state in states:
        kind, values = next((kind, list(value)) for kind, value in state.items() if kind != "with")
        is_after = later == 0 and changed and "none" in changed[-1]
        if is_after:
            later = int(later_s)
            values[3], moved_from_s = int(position_ms), values[1]
        values[0] += later * (not is_after)
        values[1] += later
        changed.append(state | {kind: values})
    return Variant(changed, later, moved_from_s)


def _other_type(states: list[State], kind: str) -> Variant:
    return Variant([{"null_item": [*state["null_item"][:2], kind]} if "null_item" in state else state for state in states])


def _stay(states: list[State], track: str, seconds: str) -> Variant:
    first = next(state for state in states if "stuck" in state and state["stuck"][2] == track)
    later = int(seconds) - (first["stuck"][1] - first["stuck"][0])
    changed = []
    for state in states:
        kind, values = next((kind, list(value)) for kind, value in state.items() if kind != "with")
        values[1] += later
        values[0] += 0 if state is first else later
        changed.append(state | {kind: values})
    return Variant(changed, later, first["stuck"][1])


def _with(**more: Any) -> Callable[..., Variant]:
    def change(states: list[State], *_: str) -> Variant:
        return Variant([state | {"with": {**state.get("with", {}), **more}} if "run" in state else state for state in states])

    return change


def _set_field(states: list[State], name: str, value: str) -> Variant:
    changed = {"omit": [name]} if value in ("absent", "missing") else {name: {"null": None, "true": True, "false": False}[value]}
    return _with(**changed)(states)


def _poll_every(states: list[State], seconds: str) -> Variant:
    """For the state machine alone; the poller has its own rhythm."""
    return Variant(states, given={"poll_s": float(seconds)})


_VARIANTS: Mapping[str, Callable[..., Variant]] = {
    r"restart of the (?:poller|process) at (\d+)": _restart_at,
    r"recently-played has (\w+) twice \(stamps (\d+) and (\d+)\)": _list_again,
    r"the (?:very )?first call .*fails": _fail_first,
    r"from (\d+) on 204 in place of the held state": _empty_in_pause,
    r"after the empty answers progress \w+ at (\d+) .*moves by (\d+) s": _pause_in_empty,
    r"type (\w+) in place of ad": _other_type,
    r"(\w) stays for (\d+) s with repeat off": _stay,
    r"device is null": _with(device=None),
    r"device\.type is a value never seen": _with(device_type="Toaster"),
    r"currently_playing_type is a value never seen": _with(currently_playing_type="hologram"),
    r"(?:an? |one )?polls? every (\d+) s": _poll_every,
    r"(\w+) is (null|true|false|absent|missing)$": _set_field,
    r"an unknown key holds a deep object": _with(novelty={"a": {"b": [{"c": None}] * 3}}),
}
