"""Read events from JSON as they were written, and convert those that the wire does not take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import msgspec
import orjson
import pyarrow as pa

from soundlake.contract.refused_rows import REFUSED_ROW_PREFIX
from soundlake.contract.unknown_fields import KNOWN_FIELDS, DuplicateField, Members, extract_unknown_fields, read_members
from soundlake.history.event_files.limits import MAX_EVENT_BYTES, limit_record
from soundlake.history.event_files.rows import Notes, merge_extra, write_records
from soundlake.history.event_files.sources import EventFile, OnBytesRead, read_blocks
from soundlake.history.json_values import AROUND_VALUES, Value, split_json, split_lines

_NULL, _EMPTY_TEXT = b"null", b'""'
_NESTED = (b"{", b"[")
_CONSTANTS = {"NaN": None, "Infinity": "Infinity", "-Infinity": "-Infinity"}


def read_json(file: EventFile, notes: Notes, on_bytes_read: OnBytesRead, *, is_lines: bool) -> Iterator[list[bytes]]:
    """The values as records: of lines, else the elements of arrays or objects over several lines. Only fields of folders are added.

    Raises BrokenFile, after the rows before, if the file cannot be read to its end or its brackets do not match.
    """
    blocks = read_blocks(file, on_bytes_read)
    limit = MAX_EVENT_BYTES
    values = split_lines(blocks, max_value_bytes=limit) if is_lines else split_json(file.name, blocks, max_value_bytes=limit)
    for batch in values:
        records = [limit_record(value).strip() for value in (batch if is_lines else _open_arrays(file.name, batch))]
        yield normalize_records(records, notes, file.folder_fields) if file.folder_fields else records


def _open_arrays(name: str, batch: Sequence[Value]) -> Iterator[Value]:
    """The values, of an array in an array its elements: files of arrays that were put into one."""
    for value in batch:
        if isinstance(value, bytes) and value.startswith(b"["):
            yield from chain.from_iterable(split_json(name, [value], max_value_bytes=MAX_EVENT_BYTES))
        else:
            yield value


def normalize_records(records: Sequence[bytes], notes: Notes, folder_fields: Mapping[str, str | None] | None = None) -> list[bytes]:
    """Convert the cells of each record to the types of their fields; what is no JSON object stays as it is.

    `folder_fields` are added where a record does not have them. Of the unknown fields null and empty ones are left out.
    """
    read = [_read_members(record) for record in records]
    rows = [members for members in read if members is not None]
    for name, text in (folder_fields or {}).items():
        for members in rows:
            members.setdefault(name, msgspec.Raw(orjson.dumps(text)))
    names = sorted(KNOWN_FIELDS.intersection(*[{name for members in rows for name in members}]))
    cells = [{name: bytes(members[name]) for name in names if name in members} for members in rows]
    nested = {row: found for row, known in enumerate(cells) if (found := {name: raw for name, raw in known.items() if raw[:1] in _NESTED})}
    columns = {
        name: pa.array([_read_text(known[name]) if name in known and name not in nested.get(row, ()) else None
                        for row, known in enumerate(cells)], pa.string())
        for name in names
    }  # fmt: skip
    extras = [_write_extra(members) for members in rows]
    written = iter(write_records(columns, extras, notes, bad_cells=nested, show_cell=lambda name, row: cells[row][name]))
    return [record if members is None else next(written) for record, members in zip(records, read, strict=True)]


def _read_members(record: bytes) -> Members | None:
    if record.startswith(REFUSED_ROW_PREFIX):
        return None
    try:
        record.decode()  # msgspec does not look into the texts that it leaves raw
        return read_members(record)
    except msgspec.DecodeError:
        if (bare := record.strip(AROUND_VALUES)) != record:
            return _read_members(bare)
        return _read_constants(record) if b"NaN" in record or b"Infinity" in record else None
    except (DuplicateField, UnicodeDecodeError, RecursionError):
        return None


def _read_constants(record: bytes) -> Members | None:
    """Read a record with NaN and Infinity, which Python and Pandas write although JSON does not have them: NaN as null."""
    try:
        pairs = json.loads(record, parse_constant=_CONSTANTS.__getitem__, object_pairs_hook=_Pairs)
        return read_members(_dump_pairs(pairs).encode())
    except (ValueError, RecursionError):
        return None


class _Pairs(list[tuple[str, object]]):
    """The members of an object in their order, with duplicates."""


def _dump_pairs(value: object) -> str:
    """Write what was read: duplicates stay, so that they are found."""
    if isinstance(value, _Pairs):
        return "{" + ",".join(f"{json.dumps(name)}:{_dump_pairs(item)}" for name, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dump_pairs, value)) + "]"
    return json.dumps(value)


def _read_text(raw: bytes) -> str | None:
    if raw == _NULL:
        return None
    if raw[:1] != b'"':
        return raw.decode()
    text: str = raw[1:-1].decode() if b"\\" not in raw else orjson.loads(raw)
    return text


def _write_extra(members: Members) -> str | None:
    names = [name for name in members if name not in KNOWN_FIELDS and name != "extra"]
    unknown = {name: members[name] for name in names if bytes(members[name]) not in (_NULL, _EMPTY_TEXT)}
    written = extract_unknown_fields(unknown)
    extra = bytes(members.get("extra", _NULL))
    if extra in (_NULL, _EMPTY_TEXT):
        return written
    return merge_extra(written, orjson.loads(extra) if extra[:1] == b'"' else extra.decode())
