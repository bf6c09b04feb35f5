"""JSON objects to columns in bulk, by pyarrow, in runs of records that are parsed as one text.

Joined by line breaks, records could vanish, double or merge without an error (an empty value, two objects in one, a break inside). They
cannot here, by three facts together: every value handed in begins with `{`, ends with `}` and holds neither a raw line break nor a raw NUL
(`decode` sees to it); the whole text parses; and it gives as many rows as values. Such a value cannot end inside a text (JSON allows no raw
line break there) nor inside an object (no comma would follow, but the next `{`), so no two merge; each then gives at least one row, so
an equal count means one each.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from soundlake.contract.extra import KNOWN_FIELDS, Gathering, read_members
from soundlake.contract.record import FIELDS
from soundlake.contract.schemas import EVENT_SCHEMA

_WIRE_SCHEMA = pa.schema(
    [pa.field(f.name, pa.string() if f.kind == "timestamp" else EVENT_SCHEMA.field(f.name).type) for f in FIELDS if f.name in KNOWN_FIELDS]
)
"""The fields as they stand on the wire, moments as text."""

_RUN_ROWS = 4096
_RUN_BYTES = 8 * 1024 * 1024
_FEW_ROWS = 32
_GATHERED_ROWS = 256
_SAMPLE = 16
_ROW_NAMED = re.compile(r"in row (\d+)$")


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
        """What parses of one run; a failure is closed in on by the row that the parser names, or by halves."""
        open_runs = [(start, end)]
        while open_runs:
            start, end = open_runs.pop()
            if start == end:
                continue
            try:
                yield self._parse_whole(start, end)
            except pa.ArrowInvalid as error:
                named = _ROW_NAMED.search(str(error))
                if end - start <= _FEW_ROWS:
                    self.doubtful.extend(range(start, end))
                elif named and (bad := start + int(named[1])) < end:
                    self.doubtful.append(bad)
                    open_runs += [(bad + 1, end), (start, bad)]
                else:
                    middle = (start + end) // 2
                    open_runs += [(middle, end), (start, middle)]

    def _parse_whole(self, start: int, end: int) -> Parsed:
        """All records of a run. Raises ArrowInvalid if any of them does not parse into the known fields."""
        values = self.values.slice(start, end - start)
        try:
            return Parsed(np.arange(start, end), _read_json(values, self.names & KNOWN_FIELDS, unexpected="error"))
        except pa.ArrowInvalid as error:
            rare = not self.unknown_is_usual and end - start > _GATHERED_ROWS
            if rare or "unexpected field" not in str(error):
                raise
        return self._parse_with_extra(start, values)

    def _parse_with_extra(self, start: int, values: pa.BinaryArray) -> Parsed:
        """The same with fields that we do not know: they are gathered one by one, as their bytes stand."""
        gathering = Gathering(self.names)
        gathering.gather(values.to_pylist())
        whole = values.take(pa.array(gathering.kept, pa.int64())) if gathering.broken else values
        fields = _read_json(whole, self.names & KNOWN_FIELDS, unexpected="ignore")
        self.doubtful += [start + place for place in gathering.broken]
        self.unknown_is_usual = 2 * gathering.extras.count(None) < len(values)
        return Parsed(np.array(gathering.kept, np.int64) + start, fields.append_column("extra", pa.array(gathering.extras, pa.string())))


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
