"""Convert columns of times: Arrow's timestamps, texts with and without a zone, and numbers since 1970.

A time without a zone is in UTC. Digits below the microsecond are cut off. Of texts these are read:

- RFC 3339, as on the wire;
- with a space for the T, without seconds, with a decimal comma, with more than nine decimals, with white space before the zone;
- zones `UTC`, `GMT`, `+00`, `+0000`, and with a name in brackets after the offset (`+01:00[Europe/Berlin]`, as Java writes it).

A date alone is no time. A number counts seconds, milliseconds, microseconds or nanoseconds: whichever unit puts it between 2000 and 2100;
never more than one does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract.timestamps import FIRST_MICROS, LAST_MICROS, parse_timestamps
from soundlake.history.event_files.columns import Cells, Mask, to_mask, trim_texts

_FIRST_SECOND, _LAST_SECOND = 946_684_800, 4_102_444_800
_MICROS_A_SECOND = 1_000_000
_UNITS_A_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_NUMBER = r"^[0-9]{9,19}(\.[0-9]*)?([eE]\+?[0-9]{1,2})?$|^[0-9]\.[0-9]+[eE]\+?[0-9]{1,2}$"
_TIME = (
    r"^(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<minute>[0-9]{2}:[0-9]{2})(?P<second>:[0-9]{2})?(?:[.,](?P<fraction>[0-9]+))?"
    r"\s*(?P<zone>(?:Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?)(?:\[[A-Za-z0-9_/+-]+\])?$"
)
_ZONE = r"^(?P<hours>[+-][0-9]{2}):?(?P<minutes>[0-9]{0,2})$"
_UTC_ZONES = pa.array(["", "Z", "z", "UTC", "GMT", "+00", "+0000", "+00:00", "-00:00"])

Micros = npt.NDArray[np.int64]


def convert_times(column: pa.Array) -> Cells:
    """The cells as microseconds since 1970 (timestamp in UTC)."""
    if pa.types.is_timestamp(column.type):
        micros, is_good = _scale(column)
        without_zone = 0 if column.type.tz else len(column) - column.null_count
        return _finish(micros, is_good, to_mask(column.is_valid()), without_zone=without_zone)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        numbers = column.cast(pa.float64()) if column.type in (pa.uint64(), pa.float16(), pa.float32()) else column
        is_valid = to_mask(pc.is_valid(numbers)) & ~to_mask(pc.is_nan(numbers))
        micros, is_good = _read_numbers(numbers.fill_null(0).to_numpy())
        return _finish(micros, is_good, is_valid, as_numbers=int((is_good & is_valid).sum()))
    return _convert_texts(trim_texts(column))


def _scale(column: pa.Array) -> tuple[Micros, Mask]:
    """Timestamps of any unit; those outside the years 1 to 9999 are not good."""
    units = _UNITS_A_SECOND[column.type.unit]
    counts = column.cast(pa.int64()).fill_null(0).to_numpy()
    first, last = FIRST_MICROS * units // _MICROS_A_SECOND, LAST_MICROS * units // _MICROS_A_SECOND
    is_good = np.ones(len(counts), bool) if units > _MICROS_A_SECOND else (counts >= first) & (counts <= last)
    counts = np.where(is_good, counts, 0)
    return (counts // (units // _MICROS_A_SECOND) if units > _MICROS_A_SECOND else counts * (_MICROS_A_SECOND // units)), is_good


def _convert_texts(texts: pa.Array) -> Cells:
    micros, is_good = parse_timestamps(texts)
    is_valid = to_mask(texts.is_valid())
    rows = np.flatnonzero(is_valid & ~is_good)
    if not len(rows):
        return _finish(micros, is_good, is_valid)
    odd = texts.take(pa.array(rows))
    parts = pc.extract_regex(odd, _TIME)
    micros[rows], is_good[rows] = parse_timestamps(_write_times(parts))
    without_zone = int((is_good[rows] & to_mask(pc.equal(pc.struct_field(parts, "zone"), ""))).sum())
    is_number = to_mask(pc.match_substring_regex(odd, _NUMBER))
    rows = rows[is_number]
    micros[rows], is_good[rows] = _read_number_texts(odd.filter(pa.array(is_number)))
    return _finish(micros, is_good, is_valid, without_zone=without_zone, as_numbers=int(is_good[rows].sum()))


def _write_times(parts: pa.StructArray) -> pa.Array:
    """The parts as texts in RFC 3339 with six decimals; null where the text was of another form."""
    date, minute, second, fraction, zone = (pc.struct_field(parts, name) for name in ("date", "minute", "second", "fraction", "zone"))
    offsets = pc.extract_regex(zone, _ZONE)
    minutes = pc.struct_field(offsets, "minutes")
    offset = pc.binary_join_element_wise(pc.struct_field(offsets, "hours"), pc.if_else(pc.equal(minutes, ""), "00", minutes), ":")
    return pc.binary_join_element_wise(
        date, "T", minute, pc.if_else(pc.equal(second, ""), ":00", second), ".",
        pc.utf8_slice_codeunits(pc.utf8_rpad(fraction, 6, "0"), 0, 6), pc.if_else(pc.is_in(zone, _UTC_ZONES), "Z", offset), "",
    )  # fmt: skip


def _read_number_texts(texts: pa.Array) -> tuple[Micros, Mask]:
    is_whole = to_mask(pc.match_substring_regex(texts, "^[0-9]{1,18}$|^[1-8][0-9]{18}$"))
    numbers = texts.filter(pa.array(is_whole)).cast(pa.int64())
    micros, is_good = np.zeros(len(texts), np.int64), np.zeros(len(texts), bool)
    micros[is_whole], is_good[is_whole] = _read_numbers(numbers.to_numpy())
    micros[~is_whole], is_good[~is_whole] = _read_numbers(texts.filter(pa.array(~is_whole)).cast(pa.float64()).to_numpy())
    return micros, is_good


def _read_numbers(numbers: np.ndarray) -> tuple[Micros, Mask]:
    micros, is_good = np.zeros(len(numbers), np.int64), np.zeros(len(numbers), bool)
    for units in _UNITS_A_SECOND.values():
        fits = (numbers >= _FIRST_SECOND * units) & (numbers < _LAST_SECOND * units)
        found = numbers[fits]
        micros[fits] = found // (units // _MICROS_A_SECOND) if units > _MICROS_A_SECOND else np.rint(found * (_MICROS_A_SECOND // units))
        is_good |= fits
    return micros, is_good


def _finish(micros: Micros, is_good: Mask, is_valid: Mask, *, without_zone: int = 0, as_numbers: int = 0) -> Cells:
    values = pa.array(micros, pa.int64(), mask=~(is_good & is_valid)).cast(pa.timestamp("us", tz="UTC"))
    return Cells(values, is_valid & ~is_good, without_zone, as_numbers)
