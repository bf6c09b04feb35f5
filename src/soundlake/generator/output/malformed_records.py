"""Malformed records, made from events: no two are equal, and none has the id of an event."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pyarrow as pa

from soundlake.contract.encode import encode_events
from soundlake.generator.model.randomness import Keys, draw_bits
from soundlake.generator.model.uuids import write_uuids

Event = dict[str, Any]


@dataclass(frozen=True)
class MalformedRecords:
    """Records with their sha256 and the malformation of each."""

    values: list[bytes]
    sha256: list[str]
    malformations: list[str]


def make_malformed_records(events: pa.Table, keys: Keys) -> MalformedRecords:
    """One malformed record for each event; its key selects the malformation."""
    ids = write_uuids(draw_bits(keys, "broken id high"), draw_bits(keys, "broken id low")).to_pylist()
    names = list(MALFORMATIONS)
    chosen = [names[int(bits) % len(names)] for bits in draw_bits(keys, "way").tolist()]
    values = [
        MALFORMATIONS[name](json.loads(line) | {"event_id": event_id})
        for name, line, event_id in zip(chosen, encode_events(events.drop_columns("source_ref")), ids, strict=True)
    ]
    return MalformedRecords(values, [sha256(value).hexdigest() for value in values], chosen)


def _write(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _truncate(event: Event) -> bytes:
    line = _write(event)
    return line[: max(60, len(line) * 2 // 3)].decode(errors="ignore").encode()


def _make_invalid_utf8(event: Event) -> bytes:
    return _write(event | {"track_name": "\x1f"}).replace(b"\\u001f", b"\xff\xfe\xc3(")


MALFORMATIONS: dict[str, Callable[[Event], bytes]] = {
    "truncated": _truncate,
    "invalid_utf8": _make_invalid_utf8,
    "not_json": lambda event: b"<event>" + event["event_id"].encode() + b"</event>",
    "an_array": lambda event: b"[" + _write(event) + b"]",
    "no_event_id": lambda event: _write(
        {name: value for name, value in event.items() if name != "event_id"} | {"trace": event["event_id"]}
    ),
    "event_id_no_uuid": lambda event: _write(event | {"event_id": "broken-" + event["event_id"][9:]}),
    "unknown_type": lambda event: _write(event | {"event_type": "teleport"}),
    "wrong_type": lambda event: _write(event | {"duration_ms": "three minutes"}),
    "no_time": lambda event: _write({name: value for name, value in event.items() if name != "played_at"}),
    "absurd_past": lambda event: _write(event | {"played_at": "1969-12-31T23:59:59.000Z"}),
    "absurd_future": lambda event: _write(event | {"played_at": "9999-01-01T00:00:00.000Z"}),
    "number_too_big": lambda event: _write(event | {"ms_played": 10**30}),
}
"""A function for each malformation, by name."""
