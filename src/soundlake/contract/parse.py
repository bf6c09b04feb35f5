"""JSON objects to columns in bulk, by pyarrow, in runs of records that are parsed as one text.

Joined by line breaks, records could vanish, double or merge without an error (an empty value, two objects in one, a break inside). They
cannot here, by three facts together: every value handed in begins with `{`, ends with `}` and holds neither a raw line break nor a raw NUL
(`decode` sees to it); the whole text parses; and it gives as many rows as values. Such a value cannot end inside a text (JSON allows no raw
line break there) nor inside an object (no comma would follow, but the next `{`), so no two merge; each then gives at least one row, so
an equal count means one each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from soundlake.contract.extra import KNOWN_FIELDS, Gathering, read_members
from soundlake.contract.record import FIELDS, Kind
from soundlake.contract.schemas import EVENT_SCHEMA

_WIRE_SCHEMA = pa.schema(
    [pa.field(f.name, pa.string() if f.kind == "timestamp" else EVENT_SCHEMA.field(f.name).type) for f in FIELDS if f.name in KNOWN_FIELDS]
)
"""The fields as they stand on the wire, moments as text."""

_RUN_ROWS = 4096
_RUN_BYTES = 8 * 1024 * 1024
_FEW_ROWS = 32
_SAMPLE = 16
_MOST_ODD = 1 / 16
"""So many records of a run may be judged singly; a judged one costs about sixteen parsed ones."""

_SCANNED: dict[Kind, type] = {"text": str, "integer": int, "boolean": bool, "timestamp": str}
_PlainEvent = msgspec.defstruct(
    "_PlainEvent",
    [(f.name, _SCANNED[f.kind] | None, None) for f in FIELDS if f.name in KNOWN_FIELDS],
    forbid_unknown_fields=True,
    gc=False,
)
_scan = msgspec.json.Decoder(_PlainEvent).decode


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
    odd_ones_are_usual: bool = False

    def parse(self) -> Iterator[Parsed]:
        """The records that parse, run by run, in order. Each value has to begin with `{` and end with `}` (see the module)."""
        for place in np.linspace(0, len(self.values) - 1, min(_SAMPLE, len(self.values)), dtype=int).tolist():
            self._learn(place)
        for start, end in _cut_runs(self.values):
            yield from self._parse_run(start, end)

    def _learn(self, place: int) -> None:
        try:
            self.names |= read_members(self.values[place].as_py()).keys()
        except (ValueError, RecursionError):
            return

    def _parse_run(self, start: int, end: int) -> Iterator[Parsed]:
        """What parses of one run; what spoils it is found by a look at each record, and the little that this misses by halves."""
        rows = np.arange(start, end)
        if self.odd_ones_are_usual:
            yield from self._parse_halves(self._leave_out_odd(rows))
            return
        try:
            yield self._parse_whole(rows)
        except pa.ArrowInvalid:
            yield from self._parse_halves(self._leave_out_odd(rows))

    def _leave_out_odd(self, rows: np.ndarray) -> np.ndarray:
        """The rows without those that are no plain event of known fields: these are doubtful, unless there are too many to judge singly."""
        is_odd = np.array([_is_odd(value) for value in self.values.take(pa.array(rows)).to_pylist()], bool)
        self.odd_ones_are_usual = 0 < is_odd.mean() <= _MOST_ODD
        if is_odd.mean() > _MOST_ODD:
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
                return Parsed(rows, _read_json(values, self.names & KNOWN_FIELDS, unexpected="error"))
            except pa.ArrowInvalid as error:
                if "unexpected field" not in str(error) or not self._is_unknown_usual(values):
                    raise
        return self._parse_with_extra(rows, values)

    def _is_unknown_usual(self, values: pa.BinaryArray) -> bool:
        """Whether fields that we do not know stand in too many records, going by a sample, to judge those singly."""
        sample = values.take(pa.array(np.unique(np.linspace(0, len(values) - 1, _SAMPLE, dtype=int)))).to_pylist()
        return sum(map(_is_odd, sample)) > _MOST_ODD * len(sample)

    def _parse_with_extra(self, rows: np.ndarray, values: pa.BinaryArray) -> Parsed:
        """The same with fields that we do not know: they are gathered one by one, as their bytes stand."""
        gathering = Gathering(self.names)
        gathering.gather(values.to_pylist())
        whole = values.take(pa.array(gathering.kept, pa.int64())) if gathering.broken else values
        fields = _read_json(whole, self.names & KNOWN_FIELDS, unexpected="ignore")
        self.doubtful += rows[gathering.broken].tolist()
        self.unknown_is_usual = 2 * gathering.extras.count(None) < len(values)
        return Parsed(rows[gathering.kept], fields.append_column("extra", pa.array(gathering.extras, pa.string())))


def _is_odd(value: bytes) -> bool:
    """Whether a record is plainly no event of known fields and types; what is odd may still decode when judged."""
    try:
        _scan(value)
    except (ValueError, RecursionError):  # msgspec's and Unicode's errors are ValueErrors
        return True
    return False


def _cut_runs(values: pa.BinaryArray) -> Iterator[tuple[int, int]]:
    """The runs that are parsed as one text: few enough rows and bytes to stay in the processor's cache, one row at least."""
    ends = np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4) if len(values) else np.zeros(1, np.int32)
    start = 0
    while start < len(values):
        fitting = int(np.searchsorted(ends, int(ends[start]) + _RUN_BYTES, side="right")) - 1
        end = min(max(fitting, start + 1), start + _RUN_ROWS, len(values))
        yield start, end
        start = end


def _read_json(values: pa.BinaryArray, names: Collection[str], *, unexpected: str) -> pa.Table:
    """The named fields of every value. Raises ArrowInvalid if a value does not parse or the rows are not as many as the values."""
    lists = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    text = pc.binary_join(lists, b"\n")[0].as_buffer()
    table = pj.read_json(
        pa.BufferReader(text),
        read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pj.ParseOptions(
            explicit_schema=pa.schema([column for column in _WIRE_SCHEMA if column.name in names]), unexpected_field_behavior=unexpected
        ),
    )
    if len(table) != len(values):
        raise pa.ArrowInvalid(f"{len(values)} values gave {len(table)} rows")
    return table
