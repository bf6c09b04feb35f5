"""Records of the log to events in bulk: columns in, columns out, each record in exactly one of events and rejected.

`judge.decode_record` says what must decode; this says the same, faster. What looks odd (empty, padded, broken over lines, no UTF-8), what
does not parse with its neighbours and what breaks a rule of the required fields is judged one by one; all else never becomes a
Python object.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract.reference_decoder import EARLIEST_PLAYED_AT, PLAYED_AT_LEAD, Rejection, Values, decode_record
from soundlake.contract.timestamps import parse_timestamps
from soundlake.contract.json_parser import Parsed, Parser
from soundlake.contract.refused_rows import REFUSED_ROW_PREFIX
from soundlake.contract.schemas import EVENT_SCHEMA
from soundlake.contract.topics import Topic

REJECTION_SCHEMA = pa.schema([("row", pa.int64()), ("reason", pa.string()), ("detail", pa.string()), ("event_id", pa.string())])
"""One rejected record: its place in the input and why it is no event."""

_UTF8_RUN_ROWS = 4096
_UUID_LENGTH = 36
_UUID_FORM = np.ones(_UUID_LENGTH, np.uint8)
_UUID_FORM[[8, 13, 18, 23]] = 2
_UUID_CLASS = np.zeros(256, np.uint8)
_UUID_CLASS[np.frombuffer(b"0123456789abcdefABCDEF", np.uint8)] = 1
_UUID_CLASS[ord("-")] = 2


@dataclass(frozen=True)
class Decoded:
    """Every record of the input once: as an event (columns of EVENT_SCHEMA; its place in `event_rows`) or in `rejected`; in input order."""

    events: pa.Table
    event_rows: np.ndarray
    rejected: pa.Table


def decode_records(topic: Topic, values: pa.Array, timestamps_ms: pa.Array) -> Decoded:
    """The events that records of one topic hold, and why the others hold none.

    `values` binary with nulls, `timestamps_ms` int64: each record's own time in the log, which bounds `played_at`.
    """
    latest = timestamps_ms.to_numpy(zero_copy_only=False) * 1_000 + PLAYED_AT_LEAD
    plain = _find_plain(values)
    parser = Parser(values if plain.all() else values.filter(pa.array(plain)))
    places = np.flatnonzero(plain)
    tables, rows, judged = [], [], np.flatnonzero(~plain).tolist()
    for parsed in parser.parse():
        at = places[parsed.rows]
        events, good = _type_events(topic, parsed, latest[at])
        tables.append(events)
        rows.append(at[good])
        judged += at[~good].tolist()
    judged += places[parser.doubtful].tolist()
    singles = {row: decode_record(topic, values[row].as_py(), timestamps_ms[row].as_py()) for row in sorted(judged)}
    accepted = {row: event for row, event in singles.items() if not isinstance(event, Rejection)}
    tables.append(_build_events(accepted.values()))
    rows.append(np.array(list(accepted), np.int64))
    events, event_rows = _put_in_order(pa.concat_tables(tables), np.concatenate(rows))
    return Decoded(events, event_rows, _build_rejected({row: found for row, found in singles.items() if isinstance(found, Rejection)}))


def _find_plain(values: pa.BinaryArray) -> np.ndarray:
    """Which values may be parsed with their neighbours: `{…}` in UTF-8, with no raw line break or NUL, and no importer's refusal."""
    if len(values) == 0:
        return np.zeros(0, bool)
    offsets = np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4)
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    plain: np.ndarray = values.is_valid().to_numpy(zero_copy_only=False) & (np.diff(offsets) > 1)
    here = np.flatnonzero(plain)
    starts, lasts = offsets[:-1][here], offsets[1:][here] - 1
    refused = (data[np.minimum(starts + 2, lasts)] == REFUSED_ROW_PREFIX[2]) & (data[np.minimum(starts + 3, lasts)] == REFUSED_ROW_PREFIX[3])
    plain[here] = (data[starts] == ord("{")) & (data[lasts] == ord("}")) & ~refused
    letters = data[offsets[0] : offsets[-1]]
    if len(letters) and letters.min() < ord(" "):
        controls = np.flatnonzero(letters < ord(" ")) + offsets[0]
        plain[np.searchsorted(offsets, controls, side="right") - 1] = False
    plain &= _find_utf8(values)
    return plain


def _find_utf8(values: pa.BinaryArray) -> np.ndarray:
    """Which values are UTF-8, by some thousands and then by halves around those that are not; null is."""
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
    """The events of what parsed, typed, and which rows of it they are; `latest` bounds `played_at` row by row."""
    wire = parsed.fields
    good = np.zeros(len(wire), bool)
    if not {"event_id", "event_type", "played_at"} <= set(wire.column_names):
        return EVENT_SCHEMA.empty_table(), good
    event_ids = wire["event_id"].combine_chunks()
    played_at, good = parse_timestamps(wire["played_at"].combine_chunks())
    good &= (played_at >= EARLIEST_PLAYED_AT) & (played_at <= latest) & _are_uuids(event_ids)
    good &= pc.is_in(wire["event_type"], pa.array(topic.event_types)).to_numpy()
    columns = {name: wire[name] for name in wire.column_names}
    columns |= {"event_id": pc.ascii_lower(event_ids), "played_at": _as_moments(played_at, good)}
    if "produced_at" in columns:
        produced_at, known = parse_timestamps(wire["produced_at"].combine_chunks())
        good &= known | wire["produced_at"].is_null().to_numpy()
        columns["produced_at"] = _as_moments(produced_at, known)
    events = pa.table([columns[c.name] if c.name in columns else pa.nulls(len(wire), c.type) for c in EVENT_SCHEMA], schema=EVENT_SCHEMA)
    return events if good.all() else events.filter(pa.array(good)), good


def _are_uuids(texts: pa.StringArray) -> np.ndarray:
    """Which texts are UUIDs in their text form, of either case."""
    found: np.ndarray = texts.is_valid().to_numpy(zero_copy_only=False)
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4)
    found &= np.diff(offsets) == _UUID_LENGTH
    rows = np.flatnonzero(found)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    letters = data[offsets[rows][:, None] + np.arange(_UUID_LENGTH)] if len(rows) < len(texts) else data[offsets[0] : offsets[-1]]
    fits = _UUID_CLASS[letters.reshape(-1, _UUID_LENGTH)] == _UUID_FORM
    if not fits.all():
        found[rows] = fits.all(axis=1)
    return found


def _as_moments(micros: np.ndarray, known: np.ndarray) -> pa.Array:
    return pa.array(micros, pa.int64(), mask=~known).cast(pa.timestamp("us", tz="UTC"))


def _build_events(events: Iterable[Values]) -> pa.Table:
    rows = list(events)
    return pa.table([pa.array([row.get(c.name) for row in rows], c.type) for c in EVENT_SCHEMA], schema=EVENT_SCHEMA)


def _put_in_order(events: pa.Table, rows: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    if (np.diff(rows) > 0).all():
        return events.combine_chunks(), rows
    order = np.argsort(rows)
    return events.combine_chunks().take(order), rows[order]


def _build_rejected(found: dict[int, Rejection]) -> pa.Table:
    columns = {name: [getattr(rejection, name) for rejection in found.values()] for name in REJECTION_SCHEMA.names[1:]}
    return pa.table({"row": list(found), **columns}, schema=REJECTION_SCHEMA)
