"""Answers of /me/player and /me/player/currently-playing, from the segment of this moment."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from soundlake.spotify.fake.catalogue import API_URL, FakeCatalogue, Json
from soundlake.spotify.fake.timeline import FakeDevice, PlayerMode, Segment

_DEVICE_FIELDS = frozenset({"is_active", "is_private_session", "is_restricted", "supports_volume", "volume_percent"})
_ANSWER_FIELDS = frozenset(
    {
        "actions", "context", "currently_playing_type", "device", "is_playing", "item", "progress_ms", "repeat_state", "shuffle_state",
        "timestamp",
    }
)  # fmt: skip
_ONLY_IN_PLAYER = ("device", "repeat_state", "shuffle_state")


def describe_player(segment: Segment | None, now_ms: int, catalogue: FakeCatalogue) -> Json | None:
    """The answer of /me/player; None for 204."""
    if segment is None or segment.motion in ("none", "gap") or segment.is_offline:
        return None
    is_null = segment.motion == "null_item" or segment.track is None
    body: Json = {
        "device": describe_device(segment.mode.device, segment.mode),
        "repeat_state": segment.mode.repeat,
        "shuffle_state": segment.mode.is_shuffle,
        "context": describe_context(segment.mode.context_uri),
        "timestamp": segment.start_ms,
        "progress_ms": segment.find_progress(now_ms),
        "is_playing": segment.motion != "hold",
        "item": None if is_null or segment.track is None else catalogue.describe_track(segment.track),
        "currently_playing_type": segment.null_type if is_null or segment.track is None else segment.track.type,
        "actions": {"disallows": {"resuming" if segment.motion != "hold" else "pausing": True}},
    }
    return write_changes(body, dict(segment.changes)) if segment.changes else body


def describe_currently_playing(player: Json) -> Json:
    """The answer of /me/player/currently-playing: the same without device, shuffle and repeat."""
    return {name: value for name, value in player.items() if name not in _ONLY_IN_PLAYER}


def describe_device(device: FakeDevice, mode: PlayerMode) -> Json:
    """A DeviceObject."""
    return {
        "id": device.id,
        "is_active": True,
        "is_private_session": mode.is_private,
        "is_restricted": False,
        "name": device.name,
        "type": device.type,
        "volume_percent": 50,
        "supports_volume": True,
    }


def describe_context(uri: str | None) -> Json | None:
    """A ContextObject of a `spotify:playlist:id`."""
    if uri is None:
        return None
    kind, _, context_id = uri.removeprefix("spotify:").partition(":")
    return {
        "type": kind,
        "href": f"{API_URL}/{kind}s/{context_id}",
        "external_urls": {"spotify": f"https://open.spotify.com/{kind}/{context_id}"},
        "uri": uri,
    }


def write_changes(body: Json, changes: dict[str, Any]) -> Json:
    """A copy of a player's answer with the fields of a listening case's `with`.

    `device_id`, `artist` and `album` are short names, `uri: local` an address of a local file, the text `absent` removes a field, `omit`
    lists fields to remove. A dotted name is a path; other names belong to the device, the answer or the item, whichever has them.
    """
    body = deepcopy(body)
    for name, value in changes.items():
        if name == "omit":
            for path in value:
                _remove(body, path.split("."))
        elif name == "type":
            _change_type(body, value)
        else:
            _write(body, name, value)
    return body


def _write(body: Json, name: str, value: Any) -> None:  # noqa: ANN401  # JSON
    item = body["item"] or {}
    path = _find_path(name)
    if name == "uri" and value == "local":
        value = f"spotify:local:{item['artists'][0]['name']}:{item['album']['name']}:{item['name']}:{item['duration_ms'] // 1_000}"
    if name == "show" and value is True:
        value = _make_show(item)
    if value == "absent":
        _remove(body, path)
        return
    place: Any = body
    for step in path[:-1]:
        inner = place[int(step)] if isinstance(place, list) else place.get(step)
        if inner is None:
            inner = place[step] = {}
        place = inner
    place[path[-1]] = value


def _find_path(name: str) -> list[str]:
    short = {
        "device_id": "device.id",
        "artist": "item.artists.0.name",
        "album": "item.album.name",
        "images": "item.album.images",
        "isrc": "item.external_ids.isrc",
        "shuffle": "shuffle_state",
    }
    if name in short:
        return short[name].split(".")
    if "." in name:
        return name.split(".")
    if name in _DEVICE_FIELDS:
        return ["device", name]
    return [name] if name in _ANSWER_FIELDS else ["item", name]


def _change_type(body: Json, kind: str) -> None:
    """An episode or a chapter as the item: it belongs to a show or an audiobook in place of an album."""
    body["currently_playing_type"] = "episode" if kind == "chapter" else kind
    item = body["item"]
    if item is None:
        return
    item["type"] = kind
    item["uri"] = f"spotify:{'episode' if kind == 'chapter' else kind}:{item['id']}"
    if kind in ("episode", "chapter"):
        item["show" if kind == "episode" else "audiobook"] = _make_show(item)
        for name in ("album", "artists", "external_ids", "track_number", "disc_number"):
            item.pop(name, None)


def _make_show(item: Json) -> Json:
    """The show of an episode: what the album of the track was."""
    if "show" in item:
        return dict(item["show"])
    album = item["album"]
    return {"id": album["id"], "name": album["name"], "publisher": album["artists"][0]["name"], "images": album["images"], "type": "show"}


def _remove(body: Json, path: list[str]) -> None:
    place: Any = body
    for step in path[:-1]:
        place = place.get(step) if isinstance(place, dict) else None
    if isinstance(place, dict):
        place.pop(path[-1], None)
