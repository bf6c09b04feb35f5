"""Columns of plays from rows: typed values, times, reasons for refusal, and the table of the contract."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract import EVENT_SCHEMA
from soundlake.contract.record import GENERATED_ID_PREFIX

Row = Mapping[str, Any]
Times = npt.NDArray[np.datetime64]
_EARLIEST = np.datetime64("2000-01-01T00:00:00", "us")
_NUMBER = re.compile(r"\s*-?\d{1,20}(?:\.\d{1,20})?(?:[eE]\+?\d{1,2})?\s*", re.ASCII)
_ID = f"[0-9A-Za-z]{{22}}|{GENERATED_ID_PREFIX}[0-9A-Za-z_]+"
_SPOTIFY_ID = re.compile(rf"(?:spotify:|open\.spotify\.com/(?:intl-\w+/)?)(?:track|episode|chapter)[:/]({_ID})", re.ASCII)
_DIGITS_OF_SECONDS = 9  # from 1973 on; fewer digits can be a date ("20240301")
_LARGEST_EPOCH = 10**20
_EPOCHS = ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (_LARGEST_EPOCH, 10**9))
"""Below, units a second: what a number is by its size."""
_LONGEST_MS = 10**13  # three centuries: longer than any play, and far below the limit of int64 microseconds


def read_texts(rows: Sequence[Row], name: str) -> list[str | None]:
    """The field as text; null if missing, empty or of another type."""
    return [value if type(value := row.get(name)) is str and value else None for row in rows]


def read_booleans(rows: Sequence[Row], name: str) -> list[bool | None]:
    """The field as a boolean; null if missing or of another type."""
    return [value if type(value := row.get(name)) is bool else None for row in rows]


def normalize_text(text: str | None) -> str | None:
    """The text as it is in natural keys: NFC, without white space at its ends; null if nothing is left."""
    if text is None:
        return None
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip() or None


def read_milliseconds(rows: Sequence[Row], name: str) -> npt.NDArray[np.int64]:
    """The field as a whole number from 0 up (also written as a float or as text); -1 if it is anything else."""
    return np.array([_clean_milliseconds(row.get(name)) for row in rows], dtype=np.int64)


def _clean_milliseconds(value: object) -> int:
    if isinstance(value, str):
        value = read_number(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**63 else -1


def read_number(text: str) -> float | None:
    """A text that is a number, whole ones as int; null for any other text."""
    if not _NUMBER.fullmatch(text):
        return None
    return int(text) if text.strip().removeprefix("-").isdecimal() else float(text)


def parse_times(values: Sequence[object], *, layout: str | None = None) -> Times:
    """Times (UTC, microseconds) from ISO 8601 (without a zone: UTC), numbers since 1970 or `layout`; NaT for what is no time."""
    if set(map(type, values)) == {int} and min(values) >= 0 and max(values) < _EPOCHS[0][0]:  # type: ignore[type-var, operator]
        return np.array(values, dtype="datetime64[s]").astype("datetime64[us]")
    try:
        column = pc.cast(pa.array(values, pa.string()), pa.timestamp("us", tz="UTC" if layout is None else None))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return np.array([_parse_time(value, layout) for value in values], dtype="datetime64[us]")
    return np.asarray(column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False), dtype="datetime64[us]")


def _parse_time(value: object, layout: str | None) -> np.datetime64:
    """One value; only for columns that Arrow cannot cast."""
    if isinstance(value, str):
        number = read_number(value) if len(value) >= _DIGITS_OF_SECONDS else None
        return _parse_text(value.strip().upper().removesuffix(" UTC"), layout) if number is None else parse_epoch(number)
    return parse_epoch(value)


def _parse_text(text: str, layout: str | None) -> np.datetime64:
    for parse in (datetime.fromisoformat, lambda text: datetime.strptime(f"{text} +0000", f"{layout or ''} %z")):
        try:
            time = parse(text)
            return np.datetime64(time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time, "us")
        except (ValueError, OverflowError):
            continue
    return np.datetime64("NaT", "us")


def parse_epoch(value: object) -> np.datetime64:
    """A number of seconds, milliseconds, microseconds or nanoseconds since 1970 (its size says which); NaT for anything else."""
    if type(value) not in (int, float) or not -_LARGEST_EPOCH < value < _LARGEST_EPOCH:  # type: ignore[operator]
        return np.datetime64("NaT", "us")
    units = next(units for limit, units in _EPOCHS if abs(value) < limit)  # type: ignore[arg-type]
    whole, rest = divmod(value, units)  # type: ignore[operator]
    return np.datetime64(int(whole) * 1_000_000 + int(rest * 1_000_000) // units, "us")


def compute_starts(ends: Times, ms_played: npt.NDArray[np.int64]) -> Times:
    """The starts of plays from their ends and lengths; the end itself if the start would be before the year 2000."""
    started: Times = ends - np.minimum(ms_played, _LONGEST_MS).astype("timedelta64[ms]")
    return np.where(started < _EARLIEST, ends, started)


def find_time_bases(ends: Times, started: Times, ms_played: npt.NDArray[np.int64]) -> list[str]:
    """The played_at_basis of each play."""
    bases: list[str] = np.where((started == ends) & (ms_played > 0), "reported", "derived_from_end").tolist()
    return bases


def find_refusal_reasons(
    named: npt.NDArray[np.bool_], ms_played: npt.NDArray[np.int64], ends: Times, now: datetime, *, time_reason: str
) -> list[str | None]:
    """The reason for which each row is refused, or None. Times that the sink would reject are refused here, so that the report is right."""
    latest = np.datetime64((now.astimezone(UTC) + timedelta(days=1)).replace(tzinfo=None), "us")
    started = compute_starts(ends, ms_played)
    reasons = np.full(len(ends), None, dtype=object)
    reasons[(started < _EARLIEST) | (started > latest)] = "played_at_out_of_range"
    reasons[np.isnat(ends)] = time_reason
    reasons[ms_played < 0] = "bad_ms_played"
    reasons[~named] = "names_nothing"
    return list(reasons)


def format_instants(times: Times) -> list[str]:
    """Each time as it is in natural keys: to the second with Z; a fraction without zeros at its end only where there is one."""
    seconds = times.astype("datetime64[s]")
    texts = [f"{text}Z" for text in np.datetime_as_string(seconds).tolist()]
    for row in np.flatnonzero(seconds != times):
        texts[row] = f"{str(np.datetime_as_string(times[row], unit='us')).rstrip('0')}Z"
    return texts


def find_spotify_id(value: object) -> str | None:
    """The id in a uri or a link of Spotify; null for anything else."""
    match = _SPOTIFY_ID.search(value) if isinstance(value, str) else None
    return match[1] if match else None


def format_source_refs(form: str, ends: Times) -> list[str]:
    """The source_ref of each play: form and end (see the docstring of the package)."""
    seconds = ends.astype("datetime64[s]")
    refs = [f"{form}:{text}Z" for text in np.datetime_as_string(seconds).tolist()]
    for row in np.flatnonzero(seconds != ends):
        refs[row] = f"{form}:{np.datetime_as_string(ends[row], unit='us')}Z"
    return refs


def write_extra(rest: Row) -> str | None:
    """The fields that the contract does not have, as one JSON object; null if there are none."""
    if not rest:
        return None
    try:
        return orjson.dumps(rest, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # numbers beyond 64 bits, more than 254 levels
        return json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def build_events(columns: Mapping[str, object], count: int) -> pa.Table:
    """A table of EVENT_SCHEMA. A column is an array, a list, or one value for all rows; columns that are not given are null."""
    arrays = [_build_column(columns.get(field.name), field.type, count) for field in EVENT_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=EVENT_SCHEMA)


def _build_column(values: object, kind: pa.DataType, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, kind)
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values.cast(kind)
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return pa.array(values).cast(pa.timestamp("us")).cast(kind)
    if isinstance(values, (list, np.ndarray)):
        return pa.array(values, kind)
    return pa.repeat(pa.scalar(values, kind), count)
