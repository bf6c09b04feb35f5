"""Fault injection: duplicates, late events and other errors between a device and the log, each one recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract import EVENT_SCHEMA
from soundlake.errors import UsageError
from soundlake.generator.model.event_columns import read_sent_ms
from soundlake.generator.model.randomness import Floats, Ints, Keys, child_keys, draw, draw_pair, hash_text
from soundlake.generator.model.uuids import make_uuids
from soundlake.generator.output.malformed_records import make_malformed_records

_MINUTE_MS, _WEEK_MS = 60_000, 7 * 86_400_000
_LONGEST_SKEW_MS = 6 * 3_600_000
_FARTHEST_ROWS = 400
_ODD_FAULTS: tuple[tuple[str, str, str | int | None], ...] = (
    ("unknown_fields", "extra", json.dumps({"experiment": 7, "new": "✨"}, ensure_ascii=False)),
    ("missing_fields", "track_name", None),
    ("negative_duration", "duration_ms", -1),
    ("huge_ms_played", "ms_played", 2**53),
    ("no_listener", "user_id", None),
)
"""Odd events: the fault, the field, and the value that it gets."""

FAULT_SCHEMA = pa.schema([pa.field("event_id", pa.string()), pa.field("fault", pa.string()), pa.field("detail", pa.string())])
"""One row per fault: the event_id as sent (for a malformed record its sha256), the fault, and its amount."""


@dataclass(frozen=True)
class FaultRates:
    """The rate of each fault, from 0 to 0.5: a share of the events, for `clock_skew` of the listeners.

    `duplicates`: sent again unchanged; `copies`: sent again with a new id; `late`: sent minutes to weeks later; `disorder`: sent some
    hundred events later; `odd`: decodable, but with unknown or missing fields, or implausible numbers; `malformed`: additional records
    that cannot be decoded; `clock_skew`: listeners whose clock is wrong by up to six hours. Raises UsageError for other rates.
    """

    duplicates: float = 0.0
    copies: float = 0.0
    late: float = 0.0
    disorder: float = 0.0
    odd: float = 0.0
    malformed: float = 0.0
    clock_skew: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            share = getattr(self, field.name)
            if not 0 <= share <= 0.5:  # noqa: PLR2004  # with more, faulty events would outnumber the others
                raise UsageError(f"--{field.name.replace('_', '-')} {share}: out of range", next_step="choose a share from 0 to 0.5")

    @property
    def any(self) -> bool:
        """Whether any rate is above zero."""
        return any(getattr(self, field.name) for field in fields(self))


NO_FAULTS = FaultRates()
PROFILES: dict[str, FaultRates] = {
    "none": NO_FAULTS,
    "mild": FaultRates(duplicates=0.002, late=0.005, disorder=0.01, malformed=0.0001, clock_skew=0.002),
    "harsh": FaultRates(duplicates=0.02, copies=0.005, late=0.03, disorder=0.1, odd=0.01, malformed=0.003, clock_skew=0.03),
}


@dataclass(frozen=True)
class InjectedBatch:
    """A part of the stream with faults: the events as sent, malformed records as bytes, and the injected faults (FAULT_SCHEMA)."""

    events: pa.Table
    malformed: list[bytes]
    faults: pa.Table

    @classmethod
    def of(cls, events: pa.Table) -> InjectedBatch:
        """Events without faults."""
        return cls(events, [], FAULT_SCHEMA.empty_table())


def inject_faults(tables: Iterable[pa.Table], faults: FaultRates, seed: int) -> Iterator[InjectedBatch]:
    """Inject faults into a stream: the same ones for the same seed and tables. The last batch has the events that are still late."""
    late, row = EVENT_SCHEMA.empty_table(), 0
    root = child_keys(np.array([seed], np.uint64), "faults", 0)
    for table in tables:
        batch = _Injector(table, child_keys(root, "row", row + np.arange(len(table))), faults)
        row += len(table)
        now_ms = read_sent_ms(table)[-1] if len(table) else 0
        waiting = pa.concat_tables([late, batch.late])
        is_due = read_sent_ms(waiting) <= now_ms
        late = waiting.filter(pa.array(~is_due))
        yield InjectedBatch(batch.merge(waiting.filter(pa.array(is_due))), batch.malformed, batch.faults)
    yield InjectedBatch.of(late.sort_by("produced_at"))


class _Injector:
    """Injects faults into one table of the stream, in this order: clock skew, odd fields, repeats, lateness, disorder."""

    def __init__(self, events: pa.Table, keys: Keys, faults: FaultRates) -> None:
        self._faults, self._keys, self._sent_ms = faults, keys, read_sent_ms(events)
        self._recorded: list[pa.Table] = []
        events = self._make_odd(self._skew_clocks(events))
        self.malformed = self._make_malformed(events)
        events, sent_ms, keys = self._repeat(events)
        is_late = draw(keys, "late") < faults.late
        delay_ms = (_MINUTE_MS * (3 * _WEEK_MS / _MINUTE_MS) ** draw(keys, "delay")).astype(np.int64)
        self._record(events, is_late, "late", delay_ms)
        self.late = _set_sent_times(events.filter(pa.array(is_late)), (sent_ms + delay_ms)[is_late])
        self._events, self._positions = events.filter(pa.array(~is_late)), self._choose_positions(events, keys, is_late)[~is_late]

    @property
    def faults(self) -> pa.Table:
        """The injected faults (FAULT_SCHEMA)."""
        return pa.concat_tables([FAULT_SCHEMA.empty_table(), *self._recorded])

    def merge(self, due: pa.Table) -> pa.Table:
        """The events in the order they are sent, with the late events that are due."""
        order = np.argsort(np.concatenate([self._positions, np.searchsorted(self._sent_ms, read_sent_ms(due))]), kind="stable")
        return pa.concat_tables([self._events, due]).take(pa.array(order))

    def _skew_clocks(self, events: pa.Table) -> pa.Table:
        listener = np.array([hash_text(user) for user in events["user_id"].unique().to_pylist()], np.uint64)
        code = events["user_id"].combine_chunks().dictionary_encode().indices.to_numpy()
        wrong, how = draw_pair(listener, "clock") if len(listener) else (np.zeros(0), np.zeros(0))
        skew_ms = np.where(wrong < self._faults.clock_skew, (2 * how - 1) * _LONGEST_SKEW_MS, 0).astype(np.int64)[code]
        self._record(events, skew_ms != 0, "clock_skew", skew_ms)
        moved = pc.add(events["played_at"].cast(pa.int64()), pa.array(skew_ms * 1_000)).cast(EVENT_SCHEMA.field("played_at").type)
        return events.set_column(events.schema.get_field_index("played_at"), EVENT_SCHEMA.field("played_at"), moved)

    def _make_odd(self, events: pa.Table) -> pa.Table:
        """Unknown fields, missing names, and impossible numbers; all of these events decode."""
        share = draw(self._keys, "odd")
        odd = np.flatnonzero(share < self._faults.odd)
        kind = (share[odd] / max(self._faults.odd, 1e-9) * len(_ODD_FAULTS)).astype(np.int64)
        for number, (fault, name, value) in enumerate(_ODD_FAULTS):
            rows = np.zeros(len(events), bool)
            rows[odd[kind == number]] = True
            field = EVENT_SCHEMA.field(name)
            values = pa.repeat(pa.scalar(value, field.type), int(rows.sum()))
            column = pc.replace_with_mask(events[name].combine_chunks(), pa.array(rows), values)
            events = events.set_column(events.schema.get_field_index(name), field, column)
            self._record(events, rows, fault)
        return events

    def _make_malformed(self, events: pa.Table) -> list[bytes]:
        rows = np.flatnonzero(draw(self._keys, "malformed") < self._faults.malformed)
        malformed = make_malformed_records(events.take(pa.array(rows)), self._keys[rows])
        self._recorded.append(
            pa.table(
                {"event_id": malformed.sha256, "fault": ["malformed"] * len(rows), "detail": malformed.malformations}, schema=FAULT_SCHEMA
            )
        )
        return malformed.values

    def _repeat(self, events: pa.Table) -> tuple[pa.Table, Ints, Keys]:
        """The events, then their repeats: unchanged, then with a new id."""
        again = np.flatnonzero(draw(self._keys, "duplicates") < self._faults.duplicates)
        copied = np.flatnonzero(draw(self._keys, "copies") < self._faults.copies)
        rows = np.concatenate([np.arange(len(events)), again, copied])
        copies_key = child_keys(self._keys[copied], "copy", 1)
        keys = np.concatenate([self._keys, child_keys(self._keys[again], "again", 1), copies_key])
        copies = events.take(pa.array(copied))
        copies = copies.set_column(0, EVENT_SCHEMA.field("event_id"), make_uuids(copies_key))
        everything = pa.concat_tables([events, events.take(pa.array(again)), copies])
        is_again = (np.arange(len(rows)) >= len(events)) & (np.arange(len(rows)) < len(events) + len(again))
        self._record(everything, is_again, "duplicate")
        self._record(everything, np.arange(len(rows)) >= len(events) + len(again), "copy")
        self._source_rows = rows
        return everything, read_sent_ms(everything), keys

    def _choose_positions(self, events: pa.Table, keys: Keys, is_late: np.ndarray) -> Floats:
        """The position in the batch at which each event is sent: repeats some rows after the first, and some events out of order."""
        is_moved, far = draw_pair(keys, "disorder")
        is_repeat = np.arange(len(keys)) >= len(self._keys)
        moves = is_moved < self._faults.disorder
        positions = 1 + far * _FARTHEST_ROWS
        self._record(events, moves & ~is_repeat & ~is_late, "disorder", np.floor(positions).astype(np.int64), "events later")
        return np.asarray(self._source_rows + np.where(moves | is_repeat, positions, 0.0))

    def _record(self, events: pa.Table, rows: np.ndarray, fault: str, amount: Ints | None = None, unit: str = "ms") -> None:
        ids = events["event_id"].combine_chunks().filter(pa.array(rows))
        details = (
            pa.nulls(len(ids), pa.string())
            if amount is None
            else pa.array([f"{number} {unit}" for number in amount[rows].tolist()], pa.string())
        )
        self._recorded.append(pa.table({"event_id": ids, "fault": [fault] * len(ids), "detail": details}, schema=FAULT_SCHEMA))


def _set_sent_times(events: pa.Table, sent_ms: Ints) -> pa.Table:
    field = EVENT_SCHEMA.field("produced_at")
    return events.set_column(events.schema.get_field_index("produced_at"), field, pa.array(sent_ms * 1_000).cast(field.type))
