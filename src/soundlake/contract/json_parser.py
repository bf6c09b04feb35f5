"""Parse JSON objects into columns in bulk with pyarrow, in runs of records that are joined to one text.

Joining records by line breaks could lose, double or merge records without an error (an empty value, two objects in one value, a line break
in a value). Three conditions together exclude that: every value begins with `{`, ends with `}` and holds no raw line break or NUL (checked
in `decode`); the joined text parses; and it gives as many rows as values. Such a value cannot end within a string (JSON allows no raw line
break there) nor within an object (the next value begins with `{` instead of a comma), so no two values merge. Each value then gives at
least one row, and with an equal count exactly one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from operator import length_hint

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from soundlake.contract.record import FIELDS, Kind
from soundlake.contract.schemas import EVENT_SCHEMA
from soundlake.contract.unknown_field_columns import extract_unknown_columns
from soundlake.contract.unknown_fields import KNOWN_FIELDS, UnknownFieldReader, read_members

_WIRE_SCHEMA = pa.schema(
    [pa.field(f.name, pa.string() if f.kind == "timestamp" else EVENT_SCHEMA.field(f.name).type) for f in FIELDS if f.name in KNOWN_FIELDS]
)
"""The fields on the wire, timestamps as text."""

_RUN_ROWS = 4096
_SHORT_RUN_ROWS = 1024
_RUN_BYTES = 8 * 1024 * 1024
_FEW_ROWS = 32
_SAMPLE = 16
_MAX_IRREGULAR = 1 / 16
"""The share of a run that may go to the reference decoder; one such record costs as much as about sixteen parsed in bulk."""
_SCAN_FIRST = 1 / 256
"""Above this share it is cheaper to scan each record first; below it most short runs parse at once."""
_SHORTEN_RUNS = 1 / 8192
_SHARE_DECAY = 0.9

_SCANNED_TYPE: dict[Kind, type] = {"text": str, "integer": int, "boolean": bool, "timestamp": str}
_PlainEvent = msgspec.defstruct(
    "_PlainEvent",
    [(f.name, _SCANNED_TYPE[f.kind] | None, None) for f in FIELDS if f.name in KNOWN_FIELDS],
    forbid_unknown_fields=True,
    gc=False,
)
_scan = msgspec.json.Decoder(_PlainEvent).decode
_find_row = re.compile(r"in row ([0-9]+)$").search


@dataclass(frozen=True)
class Parsed:
    """Parsed records: their rows in the input, and those of their fields that occur, as on the wire, with `extra` if any has one."""

    rows: np.ndarray
    fields: pa.Table


@dataclass
class Parser:
    """One pass over the values of a batch. It learns which fields occur, since each field that is not requested saves time.

    `doubtful` collects the rows that must go to the reference decoder.
    """

    values: pa.BinaryArray
    doubtful: list[int] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    has_unknown_fields: bool = False
    are_unknown_scalar: bool = True
    irregular_share: float = 0.0

    def parse(self) -> Iterator[Parsed]:
        """Parse the values; yields some thousand records at once. Each value must begin with `{` and end with `}` (see the module)."""
        waiting: list[Parsed] = []
        for parsed in self._parse_runs():
            if waiting and (parsed.fields.schema != waiting[0].fields.schema or sum(len(p.rows) for p in waiting) >= _RUN_ROWS):
                yield _merge(waiting)
                waiting = []
            waiting.append(parsed)
        if waiting:
            yield _merge(waiting)

    def _parse_runs(self) -> Iterator[Parsed]:
        for place in np.linspace(0, len(self.values) - 1, min(_SAMPLE, len(self.values)), dtype=int).tolist():
            self._learn(place)
        ends = _read_ends(self.values)
        start = 0
        while start < len(self.values):
            is_short = _SHORTEN_RUNS < self.irregular_share <= _SCAN_FIRST
            end = _cut_run(ends, start, _SHORT_RUN_ROWS if is_short else _RUN_ROWS)
            yield from self._parse_run(np.arange(start, end))
            start = end

    def _learn(self, place: int) -> None:
        try:
            self.names |= read_members(self.values[place].as_py()).keys()
        except (ValueError, RecursionError):
            return

    def _parse_run(self, rows: np.ndarray) -> Iterator[Parsed]:
        """Parse one run. Records that prevent it are found by the error message, by scanning each record, or at last by halving."""
        if self.irregular_share > _SCAN_FIRST:
            yield from self._parse_halves(self._drop_irregular(rows))
            return
        try:
            yield self._parse_whole(rows)
            self.irregular_share *= _SHARE_DECAY
        except pa.ArrowInvalid as error:
            yield from self._parse_around(rows, _find_row(str(error)))

    def _parse_around(self, rows: np.ndarray, named: re.Match[str] | None) -> Iterator[Parsed]:
        """Parse a run that failed as a whole; `named` is the match of the row in the error message, if there is one."""
        if named is None or len(rows) > _SHORT_RUN_ROWS or int(named[1]) >= len(rows):
            yield from self._parse_halves(self._drop_irregular(rows))
            return
        at = int(named[1])
        self.doubtful.append(int(rows[at]))
        for part in (rows[:at], rows[at + 1 :]):
            try:
                yield from [self._parse_whole(part)] if len(part) else []
            except pa.ArrowInvalid:
                yield from self._parse_halves(self._drop_irregular(part))

    def _drop_irregular(self, rows: np.ndarray) -> np.ndarray:
        """Drop the rows that are no events of known fields only, as doubtful; drop none if there are too many for the reference decoder."""
        is_irregular = _find_irregular(self.values.take(pa.array(rows)).to_pylist())
        share = float(is_irregular.mean())
        self.irregular_share = share if share <= _MAX_IRREGULAR else 0.0
        if share > _MAX_IRREGULAR:
            return rows
        self.doubtful += rows[is_irregular].tolist()
        plain: np.ndarray = rows[~is_irregular]
        return plain

    def _parse_halves(self, rows: np.ndarray) -> Iterator[Parsed]:
        open_runs = [rows]
        while open_runs:
            rows = open_runs.pop()
            if len(rows) == 0:
                continue
            try:
                yield self._parse_whole(rows)
            except pa.ArrowInvalid:
                if len(rows) <= _FEW_ROWS:
                    self.doubtful += rows.tolist()
                else:
                    open_runs += [rows[len(rows) // 2 :], rows[: len(rows) // 2]]

    def _parse_whole(self, rows: np.ndarray) -> Parsed:
        """Parse all records of these rows. Raises ArrowInvalid if one of them does not parse into the known fields."""
        is_run = len(rows) == rows[-1] - rows[0] + 1
        values = self.values.slice(int(rows[0]), len(rows)) if is_run else self.values.take(pa.array(rows))
        if not self.has_unknown_fields:
            try:
                return Parsed(rows, _read_json(_join(values), len(values), self.names & KNOWN_FIELDS, unexpected="error"))
            except pa.ArrowInvalid as error:
                if "unexpected field" not in str(error) or not self._has_many_unknown(values):
                    raise
        return self._parse_with_extra(rows, values)

    def _has_many_unknown(self, values: pa.BinaryArray) -> bool:
        """Return whether too many records of a sample have unknown fields for the reference decoder."""
        sample = values.take(pa.array(np.unique(np.linspace(0, len(values) - 1, _SAMPLE, dtype=int)))).to_pylist()
        return float(_find_irregular(sample).mean()) > _MAX_IRREGULAR

    def _parse_with_extra(self, rows: np.ndarray, values: pa.BinaryArray) -> Parsed:
        """Parse records with unknown fields, kept as written: column by column if all are scalars, else record by record."""
        if self.are_unknown_scalar:
            joined = _join(values)
            fields = _read_json(joined, len(values), self.names & KNOWN_FIELDS, unexpected="ignore")
            known_cells = sum(len(values) - column.null_count for column in fields.columns)
            extras = extract_unknown_columns(values, joined.to_pybytes(), known_cells, self.names - KNOWN_FIELDS)
            if extras is not None:
                return self._add_extra(rows, fields, extras)
            self.are_unknown_scalar = False
        reader = UnknownFieldReader(self.names)
        reader.read(values.to_pylist())
        whole = values.take(pa.array(reader.kept, pa.int64())) if reader.broken else values
        fields = _read_json(_join(whole), len(whole), self.names & KNOWN_FIELDS, unexpected="ignore")
        self.doubtful += rows[reader.broken].tolist()
        return self._add_extra(rows[reader.kept], fields, pa.array(reader.extras, pa.string()))

    def _add_extra(self, rows: np.ndarray, fields: pa.Table, extras: pa.StringArray) -> Parsed:
        self.has_unknown_fields = 2 * extras.null_count < len(extras)
        return Parsed(rows, fields.append_column("extra", extras))


def _merge(parts: list[Parsed]) -> Parsed:
    return parts[0] if len(parts) == 1 else Parsed(np.concatenate([p.rows for p in parts]), pa.concat_tables([p.fields for p in parts]))


def _find_irregular(values: list[bytes]) -> np.ndarray:
    """Find the records that are no events of known fields and types; the reference decoder may still accept one of them."""
    irregular = np.zeros(len(values), bool)
    rest = iter(values)
    while True:
        try:
            deque(map(_scan, rest), maxlen=0)
        except (ValueError, RecursionError):  # the errors of msgspec and Unicode are ValueErrors
            irregular[len(values) - length_hint(rest) - 1] = True
        else:
            return irregular


def _read_ends(values: pa.BinaryArray) -> np.ndarray:
    """Read the offsets of the values: the start of the first, then the end of each."""
    return np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4) if len(values) else np.zeros(1, np.int32)


def _cut_run(ends: np.ndarray, start: int, max_rows: int) -> int:
    """Find the end of the run that begins at `start`: at least one row, and few enough rows and bytes for the processor's cache."""
    near = ends[start : start + max_rows + 1]
    return start + max(int(np.searchsorted(near - near[0], _RUN_BYTES, side="right")) - 1, 1)


def _join(values: pa.BinaryArray) -> pa.Buffer:
    lists = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    return pc.binary_join(lists, b"\n")[0].as_buffer()


def _read_json(text: pa.Buffer, count: int, names: Collection[str], *, unexpected: str) -> pa.Table:
    """Read the named fields of every value in the joined text. Raises ArrowInvalid if one does not parse or the rows are not `count`."""
    table = pj.read_json(
        pa.BufferReader(text),
        read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pj.ParseOptions(
            explicit_schema=pa.schema([column for column in _WIRE_SCHEMA if column.name in names]), unexpected_field_behavior=unexpected
        ),
    )
    if len(table) != count:
        raise pa.ArrowInvalid(f"{count} values gave {len(table)} rows")
    return table
