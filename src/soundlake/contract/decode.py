"""Decode records of the log in bulk, column by column; each record ends in exactly one of `events` and `rejected`.

The result equals that of `reference_decoder.decode_record`, which defines what decodes. Three groups of records go to the reference
decoder one by one: irregular ones (empty, padded, with raw line breaks, not UTF-8), those that do not parse in bulk, and those that
break a rule of the required fields. All others are never turned into Python objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract.json_parser import Parsed, Parser
from soundlake.contract.reference_decoder import EARLIEST_PLAYED_AT, PLAYED_AT_LEAD, Rejection, Values, decode_record
from soundlake.contract.refused_rows import REFUSED_ROW_PREFIX
from soundlake.contract.schemas import EVENT_SCHEMA
from soundlake.contract.timestamps import parse_timestamps
from soundlake.contract.topics import Topic

REJECTION_SCHEMA = pa.schema([("row", pa.int64()), ("reason", pa.string()), ("detail", pa.string()), ("event_id", pa.string())])
"""One rejected record: its row in the input and the reason."""

_UTF8_RUN_ROWS = 4096
_UUID_LENGTH = 36
_UUID_CLASSES = np.ones(_UUID_LENGTH, np.uint8)
_UUID_CLASSES[[8, 13, 18, 23]] = 2
_CLASS_OF_BYTE = np.zeros(256, np.uint8)
_CLASS_OF_BYTE[np.frombuffer(b"0123456789abcdefABCDEF", np.uint8)] = 1
_CLASS_OF_BYTE[ord("-")] = 2


@dataclass(frozen=True)
class Decoded:
    """Every record of the input once, in input order: as an event (EVENT_SCHEMA; its input row in `event_rows`) or in `rejected`."""

    events: pa.Table
    event_rows: np.ndarray
    rejected: pa.Table


def decode_records(topic: Topic, values: pa.Array, timestamps_ms: pa.Array) -> Decoded:
    """Decode records of one topic into events and rejected records.

    `values` is binary with nulls; `timestamps_ms` is int64, each record's own time in the log, which limits `played_at`.
    """
    latest = timestamps_ms.to_numpy(zero_copy_only=False) * 1_000 + PLAYED_AT_LEAD
    plain = _find_plain(values)
    parser = Parser(values if plain.all() else values.filter(pa.array(plain)))
    places = np.flatnonzero(plain)
    tables, rows, irregular = [], [], np.flatnonzero(~plain).tolist()
    for parsed in parser.parse():
        at = places[parsed.rows]
        events, good = _type_events(topic, parsed, latest[at])
        tables.append(events)
        rows.append(at[good])
        irregular += at[~good].tolist()
    irregular += places[parser.doubtful].tolist()
    singles = {row: decode_record(topic, values[row].as_py(), timestamps_ms[row].as_py()) for row in sorted(irregular)}
    accepted = {row: event for row, event in singles.items() if not isinstance(event, Rejection)}
    tables.append(_build_events(accepted.values()))
    rows.append(np.array(list(accepted), np.int64))
    events, event_rows = _sort_by_row(pa.concat_tables(tables), np.concatenate(rows))
    return Decoded(events, event_rows, _build_rejected({row: found for row, found in singles.items() if isinstance(found, Rejection)}))


def _find_plain(values: pa.BinaryArray) -> np.ndarray:
    """Find the values that can be parsed in bulk: `{…}` in UTF-8, without raw control characters, and no wrapped refused row."""
    if len(values) == 0:
        return np.zeros(0, bool)
    offsets = np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4)
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    plain: np.ndarray = values.is_valid().to_numpy(zero_copy_only=False) & (np.diff(offsets) > 1)
    here = np.flatnonzero(plain)
    starts, lasts = offsets[:-1][here], offsets[1:][here] - 1
    refused = (data[np.minimum(starts + 2, lasts)] == REFUSED_ROW_PREFIX[2]) & (
        data[np.minimum(starts + 3, lasts)] == REFUSED_ROW_PREFIX[3]
    )
    plain[here] = (data[starts] == ord("{")) & (data[lasts] == ord("}")) & ~refused
    letters = data[offsets[0] : offsets[-1]]
    if len(letters) and letters.min() < ord(" "):
        controls = np.flatnonzero(letters < ord(" ")) + offsets[0]
        plain[np.searchsorted(offsets, controls, side="right") - 1] = False
    plain &= _find_utf8(values)
    return plain


def _find_utf8(values: pa.BinaryArray) -> np.ndarray:
    """Find the values that are UTF-8 (null counts as such): in runs of some thousands, halved where one is not."""
    good = np.ones(len(values), bool)
    open_runs = [(start, min(start + _UTF8_RUN_ROWS, len(values))) for start in range(0, len(values), _UTF8_RUN_ROWS)]
    while open_runs:
        start, end = open_runs.pop()
        try:
            values.slice(start, end - start).cast(pa.string())
        except pa.ArrowInvalid:
            middle = (start + end) // 2
            if middle > start:
                open_runs += [(start, middle), (middle, end)]
            else:
                good[start] = False
    return good


def _type_events(topic: Topic, parsed: Parsed, latest: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """Convert parsed records to typed events; also which rows these are. `latest` is the upper limit of `played_at`, row by row."""
    wire = parsed.fields
    good = np.zeros(len(wire), bool)
    if not {"event_id", "played_at"} <= set(wire.column_names):
        return EVENT_SCHEMA.empty_table(), good
    event_ids = wire["event_id"].combine_chunks()
    played_at, good = parse_timestamps(wire["played_at"].combine_chunks())
    good &= (played_at >= EARLIEST_PLAYED_AT) & (played_at <= latest) & _are_uuids(event_ids)
    event_types = _read_event_types(topic, wire)
    good &= pc.is_in(event_types, pa.array(topic.event_types)).to_numpy(zero_copy_only=False)
    columns = {name: wire[name] for name in wire.column_names}
    columns |= {"event_id": pc.ascii_lower(event_ids), "event_type": event_types, "played_at": _make_timestamps(played_at, good)}
    if "produced_at" in columns:
        produced_at, known = parse_timestamps(wire["produced_at"].combine_chunks())
        good &= known | wire["produced_at"].is_null().to_numpy()
        columns["produced_at"] = _make_timestamps(produced_at, known)
    events = pa.table([columns[c.name] if c.name in columns else pa.nulls(len(wire), c.type) for c in EVENT_SCHEMA], schema=EVENT_SCHEMA)
    return events if good.all() else events.filter(pa.array(good)), good


def _read_event_types(topic: Topic, wire: pa.Table) -> pa.Array:
    """The type of each event; a missing one is that of the topic, if it carries one type only."""
    types = wire["event_type"].combine_chunks() if "event_type" in wire.column_names else pa.nulls(len(wire), pa.string())
    return pc.fill_null(types, topic.default_event_type) if types.null_count and topic.default_event_type else types


def _are_uuids(texts: pa.StringArray) -> np.ndarray:
    """Find the texts that are UUIDs in text form, in upper or lower case."""
    found: np.ndarray = texts.is_valid().to_numpy(zero_copy_only=False)
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4)
    found &= np.diff(offsets) == _UUID_LENGTH
    rows = np.flatnonzero(found)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    letters = data[offsets[rows][:, None] + np.arange(_UUID_LENGTH)] if len(rows) < len(texts) else data[offsets[0] : offsets[-1]]
    fits = _CLASS_OF_BYTE[letters.reshape(-1, _UUID_LENGTH)] == _UUID_CLASSES
    if not fits.all():
        found[rows] = fits.all(axis=1)
    return found


def _make_timestamps(micros: np.ndarray, known: np.ndarray) -> pa.Array:
    return pa.array(micros, pa.int64(), mask=~known).cast(pa.timestamp("us", tz="UTC"))


def _build_events(events: Iterable[Values]) -> pa.Table:
    rows = list(events)
    return pa.table([pa.array([row.get(c.name) for row in rows], c.type) for c in EVENT_SCHEMA], schema=EVENT_SCHEMA)


def _sort_by_row(events: pa.Table, rows: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    if (np.diff(rows) > 0).all():
        return events.combine_chunks(), rows
    order = np.argsort(rows)
    return events.combine_chunks().take(order), rows[order]


def _build_rejected(found: dict[int, Rejection]) -> pa.Table:
    columns = {name: [getattr(rejection, name) for rejection in found.values()] for name in REJECTION_SCHEMA.names[1:]}
    return pa.table({"row": list(found), **columns}, schema=REJECTION_SCHEMA)
