"""Faults on demand: what goes wrong between a device and a log, each one known."""

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
_ODD_WAYS: tuple[tuple[str, str, str | int | None], ...] = (
    ("unknown_fields", "extra", json.dumps({"experiment": 7, "new": "✨"}, ensure_ascii=False)),
    ("missing_fields", "track_name", None),
    ("negative_duration", "duration_ms", -1),
    ("huge_ms_played", "ms_played", 2**53),
    ("no_listener", "user_id", None),
)
"""What makes an event odd: the fault, the field, and the value that it gets."""

FAULT_SCHEMA = pa.schema([pa.field("event_id", pa.string()), pa.field("fault", pa.string()), pa.field("detail", pa.string())])
"""One row a fault: the event it befell (as it was sent; for a broken record its sha256), which it is, and how much."""


@dataclass(frozen=True)
class FaultRates:
    """How often what goes wrong: shares of the events (of the listeners, for the clock), from 0 to a half.

    `duplicates`: sent again as they are; `copies`: sent again under a new id; `late`: sent minutes to weeks later; `disorder`: sent some
    hundred events later; `odd`: decodable, but with unknown or missing fields, or absurd numbers; `malformed`: cannot be decoded, sent
    beside the good ones; `clock_skew`: listeners whose clock is wrong by up to six hours. Raises UsageError for another share.
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
            if not 0 <= share <= 0.5:  # noqa: PLR2004  # more than half of the events would leave no stream to disturb
                raise UsageError(f"--{field.name.replace('_', '-')} {share}: not possible", next_step="choose a share from 0 to 0.5")

    @property
    def any(self) -> bool:
        """Whether anything goes wrong at all."""
        return any(getattr(self, field.name) for field in fields(self))


NO_FAULTS = FaultRates()
PROFILES: dict[str, FaultRates] = {
    "none": NO_FAULTS,
    "mild": FaultRates(duplicates=0.002, late=0.005, disorder=0.01, malformed=0.0001, clock_skew=0.002),
    "harsh": FaultRates(duplicates=0.02, copies=0.005, late=0.03, disorder=0.1, odd=0.01, malformed=0.003, clock_skew=0.03),
}


@dataclass(frozen=True)
class InjectedBatch:
    """A part of the stream after the faults: the good events as they are sent, the broken records' bytes, and what befell which."""

    events: pa.Table
    broken: list[bytes]
    notes: pa.Table

    @classmethod
    def of(cls, events: pa.Table) -> InjectedBatch:
        """Events that nothing happened to."""
        return cls(events, [], FAULT_SCHEMA.empty_table())


def inject_faults(tables: Iterable[pa.Table], faults: FaultRates, seed: int) -> Iterator[InjectedBatch]:
    """The stream with its faults, the same for the same seed and the same tables; at the end what is still late."""
    late, row = EVENT_SCHEMA.empty_table(), 0
    root = child_keys(np.array([seed], np.uint64), "faults", 0)
    for table in tables:
        chunk = _Injector(table, child_keys(root, "row", row + np.arange(len(table))), faults)
        row += len(table)
        now_ms = read_sent_ms(table)[-1] if len(table) else 0
        waiting = pa.concat_tables([late, chunk.late])
        is_due = read_sent_ms(waiting) <= now_ms
        late = waiting.filter(pa.array(~is_due))
        yield InjectedBatch(chunk.merge(waiting.filter(pa.array(is_due))), chunk.broken, chunk.notes)
    yield InjectedBatch.of(late.sort_by("produced_at"))


class _Injector:
    """One table of the stream, disturbed. Faults follow one another: the clock, odd fields, repeats, lateness, disorder."""

    def __init__(self, events: pa.Table, keys: Keys, faults: FaultRates) -> None:
        self._faults, self._keys, self._sent_ms = faults, keys, read_sent_ms(events)
        self._notes: list[pa.Table] = []
        events = self._make_odd(self._skew_clocks(events))
        self.broken = self._break(events)
        events, sent_ms, keys = self._repeat(events)
        is_late = draw(keys, "late") < faults.late
        delay_ms = (_MINUTE_MS * (3 * _WEEK_MS / _MINUTE_MS) ** draw(keys, "delay")).astype(np.int64)
        self._note(events, is_late, "late", delay_ms)
        self.late = _set_sent(events.filter(pa.array(is_late)), (sent_ms + delay_ms)[is_late])
        self._events, self._place = events.filter(pa.array(~is_late)), self._choose_places(events, keys, is_late)[~is_late]

    @property
    def notes(self) -> pa.Table:
        """What befell which event (FAULT_SCHEMA)."""
        return pa.concat_tables([FAULT_SCHEMA.empty_table(), *self._notes])

    def merge(self, due: pa.Table) -> pa.Table:
        """The events as they are sent, those that were late where their time has come."""
        order = np.argsort(np.concatenate([self._place, np.searchsorted(self._sent_ms, read_sent_ms(due))]), kind="stable")
        return pa.concat_tables([self._events, due]).take(pa.array(order))

    def _skew_clocks(self, events: pa.Table) -> pa.Table:
        listener = np.array([hash_text(user) for user in events["user_id"].unique().to_pylist()], np.uint64)
        code = events["user_id"].combine_chunks().dictionary_encode().indices.to_numpy()
        wrong, how = draw_pair(listener, "clock") if len(listener) else (np.zeros(0), np.zeros(0))
        skew_ms = np.where(wrong < self._faults.clock_skew, (2 * how - 1) * _LONGEST_SKEW_MS, 0).astype(np.int64)[code]
        self._note(events, skew_ms != 0, "clock_skew", skew_ms)
        moved = pc.add(events["played_at"].cast(pa.int64()), pa.array(skew_ms * 1_000)).cast(EVENT_SCHEMA.field("played_at").type)
        return events.set_column(events.schema.get_field_index("played_at"), EVENT_SCHEMA.field("played_at"), moved)

    def _make_odd(self, events: pa.Table) -> pa.Table:
        """Unknown fields, missing names, and numbers that cannot be; all of it decodes."""
        share = draw(self._keys, "odd")
        odd = np.flatnonzero(share < self._faults.odd)
        way = (share[odd] / max(self._faults.odd, 1e-9) * len(_ODD_WAYS)).astype(np.int64)
        for number, (fault, name, value) in enumerate(_ODD_WAYS):
            rows = np.zeros(len(events), bool)
            rows[odd[way == number]] = True
            field = EVENT_SCHEMA.field(name)
            values = pa.repeat(pa.scalar(value, field.type), int(rows.sum()))
            column = pc.replace_with_mask(events[name].combine_chunks(), pa.array(rows), values)
            events = events.set_column(events.schema.get_field_index(name), field, column)
            self._note(events, rows, fault)
        return events

    def _break(self, events: pa.Table) -> list[bytes]:
        rows = np.flatnonzero(draw(self._keys, "malformed") < self._faults.malformed)
        broken = make_malformed_records(events.take(pa.array(rows)), self._keys[rows])
        self._notes.append(
            pa.table({"event_id": broken.sha256, "fault": ["malformed"] * len(rows), "detail": broken.ways}, schema=FAULT_SCHEMA)
        )
        return broken.values

    def _repeat(self, events: pa.Table) -> tuple[pa.Table, Ints, Keys]:
        """The events and, after each, its repeats: as it is, or under a new id."""
        again, copied = (np.flatnonzero(draw(self._keys, what) < share) for what, share in self._list_repeats())
        rows = np.concatenate([np.arange(len(events)), again, copied])
        copies_key = child_keys(self._keys[copied], "copy", 1)
        keys = np.concatenate([self._keys, child_keys(self._keys[again], "again", 1), copies_key])
        copies = events.take(pa.array(copied))
        fresh = make_uuids(copies_key)
        copies = copies.set_column(0, EVENT_SCHEMA.field("event_id"), fresh)
        everything = pa.concat_tables([events, events.take(pa.array(again)), copies])
        is_again = (np.arange(len(rows)) >= len(events)) & (np.arange(len(rows)) < len(events) + len(again))
        self._note(everything, is_again, "duplicate")
        self._note(everything, np.arange(len(rows)) >= len(events) + len(again), "copy")
        self._origin = rows
        return everything, read_sent_ms(everything), keys

    def _list_repeats(self) -> list[tuple[str, float]]:
        return [("duplicates", self._faults.duplicates), ("copies", self._faults.copies)]

    def _choose_places(self, events: pa.Table, keys: Keys, is_late: np.ndarray) -> Floats:
        """Where in the stretch each is sent: repeats a while after the first, and some out of order."""
        is_moved, far = draw_pair(keys, "disorder")
        is_repeat = np.arange(len(keys)) >= len(self._keys)
        moves = is_moved < self._faults.disorder
        places = 1 + far * _FARTHEST_ROWS
        self._note(events, moves & ~is_repeat & ~is_late, "disorder", np.floor(places).astype(np.int64), "events later")
        return np.asarray(self._origin + np.where(moves | is_repeat, places, 0.0))

    def _note(self, events: pa.Table, rows: np.ndarray, fault: str, amount: Ints | None = None, unit: str = "ms") -> None:
        ids = events["event_id"].combine_chunks().filter(pa.array(rows))
        details = (
            pa.nulls(len(ids), pa.string())
            if amount is None
            else pa.array([f"{number} {unit}" for number in amount[rows].tolist()], pa.string())
        )
        self._notes.append(pa.table({"event_id": ids, "fault": [fault] * len(ids), "detail": details}, schema=FAULT_SCHEMA))


def _set_sent(events: pa.Table, sent_ms: Ints) -> pa.Table:
    field = EVENT_SCHEMA.field("produced_at")
    return events.set_column(events.schema.get_field_index("produced_at"), field, pa.array(sent_ms * 1_000).cast(field.type))
