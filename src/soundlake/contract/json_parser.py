"""JSON objects to columns in bulk, by pyarrow, in runs of records that are parsed as one text.

Joined by line breaks, records could vanish, double or merge without an error (an empty value, two objects in one, a break inside). They
cannot here, by three facts together: every value handed in begins with `{`, ends with `}` and holds neither a raw line break nor a raw NUL
(`decode` sees to it); the whole text parses; and it gives as many rows as values. Such a value cannot end inside a text (JSON allows no raw
line break there) nor inside an object (no comma would follow, but the next `{`), so no two merge; each then gives at least one row, so
an equal count means one each.
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

from soundlake.contract.unknown_fields import KNOWN_FIELDS, UnknownFieldReader, read_members
from soundlake.contract.unknown_field_columns import extract_unknown_columns
from soundlake.contract.record import FIELDS, Kind
from soundlake.contract.schemas import EVENT_SCHEMA

_WIRE_SCHEMA = pa.schema(
    [pa.field(f.name, pa.string() if f.kind == "timestamp" else EVENT_SCHEMA.field(f.name).type) for f in FIELDS if f.name in KNOWN_FIELDS]
)
"""The fields as they stand on the wire, moments as text."""

_RUN_ROWS = 4096
_SHORT_RUN_ROWS = 1024
_RUN_BYTES = 8 * 1024 * 1024
_FEW_ROWS = 32
_SAMPLE = 16
_MOST_ODD = 1 / 16
"""So many records of a run may be judged singly; a judged one costs about sixteen parsed ones."""
_OFTEN_ODD = 1 / 256
"""From here on looking at each record first is cheaper than parsing on trial, below it most short runs parse at once."""
_SELDOM_ODD = 1 / 8192
_FORGOTTEN = 0.9

_SCANNED: dict[Kind, type] = {"text": str, "integer": int, "boolean": bool, "timestamp": str}
_PlainEvent = msgspec.defstruct(
    "_PlainEvent",
    [(f.name, _SCANNED[f.kind] | None, None) for f in FIELDS if f.name in KNOWN_FIELDS],
    forbid_unknown_fields=True,
    gc=False,
)
_scan = msgspec.json.Decoder(_PlainEvent).decode
_find_row = re.compile(r"in row ([0-9]+)$").search


@dataclass(frozen=True)
class Parsed:
    """Records that parsed: their places in the input, and their fields as on the wire (those that occur) with `extra` where any has one."""

    rows: np.ndarray
    fields: pa.Table


@dataclass
class Parser:
    """One pass over the values of one batch; it learns on the way which fields occur, as each field not asked for saves time.

    `doubtful` collects the places of those that have to be judged one by one.
    """

    values: pa.BinaryArray
    doubtful: list[int] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    unknown_is_usual: bool = False
    extra_is_plain: bool = True
    odd_share: float = 0.0

    def parse(self) -> Iterator[Parsed]:
        """The records that parse, in some thousands at once. Each value has to begin with `{` and end with `}` (see the module)."""
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
            is_short = _SELDOM_ODD < self.odd_share <= _OFTEN_ODD
            end = _cut_run(ends, start, _SHORT_RUN_ROWS if is_short else _RUN_ROWS)
            yield from self._parse_run(np.arange(start, end))
            start = end

    def _learn(self, place: int) -> None:
        try:
            self.names |= read_members(self.values[place].as_py()).keys()
        except (ValueError, RecursionError):
            return

    def _parse_run(self, rows: np.ndarray) -> Iterator[Parsed]:
        """What parses of one run; what spoils it is named by the error or found by a look at each record, the little left by halves."""
        if self.odd_share > _OFTEN_ODD:
            yield from self._parse_halves(self._leave_out_odd(rows))
            return
        try:
            yield self._parse_whole(rows)
            self.odd_share *= _FORGOTTEN
        except pa.ArrowInvalid as error:
            yield from self._parse_around(rows, _find_row(str(error)))

    def _parse_around(self, rows: np.ndarray, named: re.Match[str] | None) -> Iterator[Parsed]:
        """What parses of a run that did not parse whole, where the error may name the first record that spoils it."""
        if named is None or len(rows) > _SHORT_RUN_ROWS or int(named[1]) >= len(rows):
            yield from self._parse_halves(self._leave_out_odd(rows))
            return
        at = int(named[1])
        self.doubtful.append(int(rows[at]))
        for part in (rows[:at], rows[at + 1 :]):
            try:
                yield from [self._parse_whole(part)] if len(part) else []
            except pa.ArrowInvalid:
                yield from self._parse_halves(self._leave_out_odd(part))

    def _leave_out_odd(self, rows: np.ndarray) -> np.ndarray:
        """The rows without those that are no plain event of known fields: these are doubtful, unless there are too many to judge singly."""
        is_odd = _find_odd(self.values.take(pa.array(rows)).to_pylist())
        share = float(is_odd.mean())
        self.odd_share = share if share <= _MOST_ODD else 0.0
        if share > _MOST_ODD:
            return rows
        self.doubtful += rows[is_odd].tolist()
        plain: np.ndarray = rows[~is_odd]
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
        """All records of these rows. Raises ArrowInvalid if any of them does not parse into the known fields."""
        is_run = len(rows) == rows[-1] - rows[0] + 1
        values = self.values.slice(int(rows[0]), len(rows)) if is_run else self.values.take(pa.array(rows))
        if not self.unknown_is_usual:
            try:
                return Parsed(rows, _read_json(_join(values), len(values), self.names & KNOWN_FIELDS, unexpected="error"))
            except pa.ArrowInvalid as error:
                if "unexpected field" not in str(error) or not self._is_unknown_usual(values):
                    raise
        return self._parse_with_extra(rows, values)

    def _is_unknown_usual(self, values: pa.BinaryArray) -> bool:
        """Whether fields that we do not know stand in too many records, going by a sample, to judge those singly."""
        sample = values.take(pa.array(np.unique(np.linspace(0, len(values) - 1, _SAMPLE, dtype=int)))).to_pylist()
        return float(_find_odd(sample).mean()) > _MOST_ODD

    def _parse_with_extra(self, rows: np.ndarray, values: pa.BinaryArray) -> Parsed:
        """The same with fields that we do not know, as their bytes stand: by the column where all are plain, else one by one."""
        if self.extra_is_plain:
            joined = _join(values)
            fields = _read_json(joined, len(values), self.names & KNOWN_FIELDS, unexpected="ignore")
            known_cells = sum(len(values) - column.null_count for column in fields.columns)
            extras = extract_unknown_columns(values, joined.to_pybytes(), known_cells, self.names - KNOWN_FIELDS)
            if extras is not None:
                return self._add_extra(rows, fields, extras)
            self.extra_is_plain = False
        gathering = UnknownFieldReader(self.names)
        gathering.gather(values.to_pylist())
        whole = values.take(pa.array(gathering.kept, pa.int64())) if gathering.broken else values
        fields = _read_json(_join(whole), len(whole), self.names & KNOWN_FIELDS, unexpected="ignore")
        self.doubtful += rows[gathering.broken].tolist()
        return self._add_extra(rows[gathering.kept], fields, pa.array(gathering.extras, pa.string()))

    def _add_extra(self, rows: np.ndarray, fields: pa.Table, extras: pa.StringArray) -> Parsed:
        self.unknown_is_usual = 2 * extras.null_count < len(extras)
        return Parsed(rows, fields.append_column("extra", extras))


def _merge(parts: list[Parsed]) -> Parsed:
    return parts[0] if len(parts) == 1 else Parsed(np.concatenate([p.rows for p in parts]), pa.concat_tables([p.fields for p in parts]))


def _find_odd(values: list[bytes]) -> np.ndarray:
    """Which records are plainly no event of known fields and types; what is odd may still decode when judged."""
    odd = np.zeros(len(values), bool)
    rest = iter(values)
    while True:
        try:
            deque(map(_scan, rest), maxlen=0)
        except (ValueError, RecursionError):  # msgspec's and Unicode's errors are ValueErrors
            odd[len(values) - length_hint(rest) - 1] = True
        else:
            return odd


def _read_ends(values: pa.BinaryArray) -> np.ndarray:
    """Where each value ends in its buffer, the start of the first before them."""
    return np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4) if len(values) else np.zeros(1, np.int32)


def _cut_run(ends: np.ndarray, start: int, most_rows: int) -> int:
    """The end of the run that begins at `start`: few enough rows and bytes to stay in the processor's cache, one row at least."""
    near = ends[start : start + most_rows + 1]
    return start + max(int(np.searchsorted(near - near[0], _RUN_BYTES, side="right")) - 1, 1)


def _join(values: pa.BinaryArray) -> pa.Buffer:
    lists = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    return pc.binary_join(lists, b"\n")[0].as_buffer()


def _read_json(text: pa.Buffer, count: int, names: Collection[str], *, unexpected: str) -> pa.Table:
    """The named fields of every value in the joined text. Raises ArrowInvalid if one does not parse or the rows are not `count`."""
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
