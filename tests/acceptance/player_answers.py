"""The answers of the player that a case describes: its `states`, one poll each `poll_s`, as bodies of the Web API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Case = Mapping[str, Any]
State = dict[str, Any]
T0_MS = 1_767_297_600_000
"""2026-01-01T20:00:00Z, from which the times of a case count where it names no `t0`."""
NO_ANSWER = object()
"""A poll that failed."""
_KINDS = ("run", "hold", "stuck", "none", "gap", "null_item", "raw")
_OF_DEVICE = ("device_id", "device_name", "device_type", "is_private_session", "is_restricted", "volume_percent")
_OF_ITEM = ("type", "show", "audiobook", "artists", "artist", "album", "id", "uri", "is_local", "images", "name", "isrc", "duration_ms")


@dataclass(frozen=True)
class Poll:
    """A poll, `at_s` seconds after t0: the JSON object of the answer, None for 204, NO_ANSWER if there was none."""

    at_s: float
    answer: Any


def list_polls(case: Case, *, phase_s: float = 0, states: list[State] | None = None) -> Iterator[Poll]:
    """The polls of a case in their order; `states` in place of those of the case."""
    given = case["given"]
    states = given["states"] if states is None else states
    step = given.get("poll_s", case.get("poll_s", 5))
    spans = [state for state in states if "raw" not in state]
    odd = sorted(_place_raw(states), key=lambda poll: poll[0])
    at_s = given.get("first_poll_at", 0) + phase_s
    while at_s < _get_span(spans[-1])[1]:
        state = next(state for state in spans if _get_span(state)[0] <= at_s < _get_span(state)[1])
        if odd and odd[0][0] <= at_s:
            yield Poll(at_s, _write_raw(case, state, odd.pop(0)[1], at_s))
        else:
            yield Poll(at_s, write_answer(case, state, at_s))
        at_s += step


def write_answer(case: Case, state: State, at_s: float) -> Any:
    """The answer in one state at one moment."""
    kind = next(kind for kind in _KINDS if kind in state)
    values, more = state[kind], state.get("with", {})
    if kind in ("none", "gap"):
        return None if kind == "none" else NO_ANSWER
    if kind == "null_item":
        return _write_body(case, None, 0, more, is_playing=True) | {"currently_playing_type": values[2]}
    moved = (at_s - values[0]) * 1000 * more.get("speed", 1) if kind == "run" else 0
    return _write_body(case, values[2], round(values[3] + moved), more, is_playing=kind != "hold")


def find_start(case: Case) -> datetime:
    """The moment from which the times of a case count."""
    text = case.get("t0", case["given"].get("t0"))
    return datetime.fromtimestamp(T0_MS / 1000, UTC) if text is None else datetime.fromisoformat(str(text))


def find_name(case: Case, letter: str) -> str:
    """The title of a letter of `tracks`."""
    names = {**case["given"].get("names", {}), **case.get("names", {})}
    return str(names.get(letter, f"Song {letter}"))


def find_artist(case: Case, letter: str) -> str:
    """The artist of a letter of `tracks`."""
    return str({**case["given"].get("artists", {}), **case.get("artists", {})}.get(letter, "Artist"))


def find_isrc(case: Case, letter: str) -> str | None:
    """The ISRC of a letter of `tracks`, where the case gives one."""
    return {**case.get("isrc", {}), **case["given"].get("isrc", {})}.get(letter)


def write_track(case: Case, letter: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The item of a letter of `tracks`, with the changes that a state names in `with`."""
    more = more or {}
    track_id = f"{letter:0>22}"
    kind = more.get("type", "track")
    item: dict[str, Any] = {
        "id": track_id, "uri": f"spotify:{kind}:{track_id}", "type": kind, "name": find_name(case, letter),
        "duration_ms": case["tracks"].get(letter), "is_local": False,
        "artists": [{"id": f"{'artist':0>22}", "name": find_artist(case, letter)}],
        "album": {"id": f"{'album':0>22}", "name": "Album", "images": [{"url": "https://i.scdn.co/image/0", "width": 640, "height": 640}]},
    }  # fmt: skip
    if isrc := find_isrc(case, letter):
        item["external_ids"] = {"isrc": isrc}
    if more.get("uri") == "local":
        item["uri"] = (
            f"spotify:local:{more.get('artist', 'Artist')}:{more.get('album', 'Album')}:Song+{letter}:{(item['duration_ms'] or 0) // 1000}"
        )
    for name in set(more) & set(_OF_ITEM) - {"type"}:
        _change_item(item, name, more[name])
    return item


def _change_item(item: dict[str, Any], name: str, value: Any) -> None:
    if value == "absent":
        del item[name]
    elif name in ("show", "audiobook"):
        item[name] = {"id": f"{name:0>22}", "name": name.title()}
    elif name == "artist":
        item["artists"] = [{"name": value}]
    elif name == "album":
        item["album"] = {"name": value} if isinstance(value, str) else value
    elif name == "images":
        item["album"]["images"] = value
    elif name == "isrc":
        item["external_ids"] = {"isrc": value}
    elif value != "local":
        item[name] = value


def _write_body(case: Case, letter: str | None, progress_ms: int | None, more: Mapping[str, Any], *, is_playing: bool) -> dict[str, Any]:
    device = {"id": "d1", "name": "Device", "type": "Computer", "is_active": True, "is_private_session": False, "is_restricted": False,
              "volume_percent": 50, "supports_volume": True}  # fmt: skip
    for name in set(more) & set(_OF_DEVICE):
        device[name.removeprefix("device_")] = more[name]
    body = {
        "device": device, "repeat_state": case["given"].get("repeat_state", "off"), "shuffle_state": False,
        "context": {"type": "album", "uri": "spotify:album:0000000000000000album0"}, "timestamp": T0_MS, "progress_ms": progress_ms,
        "is_playing": is_playing, "currently_playing_type": more.get("type", "track"), "actions": {"disallows": {}},
        "item": None if letter is None else write_track(case, letter, more),
    }  # fmt: skip
    known = {*_OF_DEVICE, *_OF_ITEM, "omit", "speed", "shuffle"}
    body |= {name: deepcopy(value) for name, value in more.items() if name not in known}
    body |= {"shuffle_state": more["shuffle"]} if "shuffle" in more else {}
    for name in more.get("omit", ()):
        body.pop(name, None)
    return body


def _place_raw(states: list[State]) -> Iterator[tuple[float, Mapping[str, Any]]]:
    """The odd answers with their moments: the one that they name, else the end of the state before them."""
    at_s = 0.0
    for state in states:
        if "raw" in state:
            yield state["raw"].get("t", state["raw"].get("at", at_s)), state["raw"]
        else:
            at_s = _get_span(state)[1]


def _write_raw(case: Case, state: State, raw: Mapping[str, Any], at_s: float) -> Any:
    """An odd answer: a body or a status of its own, or the answer of that moment with other members."""
    if "body" in raw:
        return raw["body"]
    if raw.get("status", 200) != 200:
        return None if raw["status"] == 204 else NO_ANSWER
    usual = write_answer(case, state, at_s)
    body = usual if isinstance(usual, dict) else _write_body(case, None, 0, {}, is_playing=False)
    body |= {name: value for name, value in raw.items() if name not in ("t", "at", "status", "track", "item")}
    letter = raw.get("track", raw.get("item", body))
    if letter is not body:
        body["item"] = write_track(case, letter) if isinstance(letter, str) else letter
    return body


def _get_span(state: State) -> tuple[float, float]:
    values = next(state[kind] for kind in _KINDS if kind in state)
    return values[0], values[1]


def write_entry(case: Case, letter: str | None, played_at: float | str | None) -> dict[str, Any]:
    """An entry of recently-played; a letter that the case does not have is a track of three minutes."""
    known = case if letter is None or letter in case.get("tracks", {}) else {**case, "tracks": {letter: 180_000}}
    if isinstance(played_at, int | float):
        at: datetime = find_start(case) + timedelta(seconds=played_at)
        played_at = at.isoformat().replace("+00:00", "Z")
    return {"track": None if letter is None else write_track(known, letter), "played_at": played_at, "context": None}
