"""Read rows of the short form: end to the minute, names, milliseconds; music and podcasts, in one file or in two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from soundlake.contract.ids import make_event_ids
from soundlake.contract.record import SCHEMA_VERSION
from soundlake.history.models import SOURCE, FormRows
from soundlake.history.personal_fields import is_personal
from soundlake.history.play_columns import (
    Row,
    Times,
    build_events,
    compute_starts,
    find_refusal_reasons,
    find_time_bases,
    format_source_refs,
    parse_times,
    read_milliseconds,
    read_texts,
    write_extra,
)

_LAYOUT = "%Y-%m-%d %H:%M"
_MAPPED = frozenset({"endTime", "artistName", "trackName", "podcastName", "episodeName", "msPlayed"})
_USUAL = ({"endTime", "artistName", "trackName", "msPlayed"}, {"endTime", "podcastName", "episodeName", "msPlayed"})


class PlayedItem(NamedTuple):
    """The item that a row names: `by` is the artist or the show."""

    name: str
    by: str
    content_type: str | None


def read_short(rows: Sequence[Row], *, user_id: str, now: datetime) -> FormRows:
    """Find the rows to refuse, and make plays of the others."""
    items = _find_played_items(rows)
    ms_played = read_milliseconds(rows, "msPlayed")
    ends = parse_times([row["endTime"] for row in rows], layout=_LAYOUT)
    reasons = find_refusal_reasons(np.array([item is not None for item in items], bool), ms_played, ends, now, time_reason="bad_end_time")
    kept = [number for number, reason in enumerate(reasons) if reason is None]
    played = [item for number in kept if (item := items[number]) is not None]
    return FormRows(reasons, _build([rows[number] for number in kept], played, ms_played[kept], ends[kept], user_id))


def _find_played_items(rows: Sequence[Row]) -> list[PlayedItem | None]:
    """A song with its artist or an episode with its show; the fields that a row uses say which."""
    fields = (read_texts(rows, name) for name in ("trackName", "episodeName", "artistName", "podcastName"))
    return [
        PlayedItem(name, by, "episode" if by == show else None) if (name := track or episode) and (by := artist or show) else None
        for track, episode, artist, show in zip(*fields, strict=True)
    ]


def _build(rows: list[Row], played: list[PlayedItem], ms_played: npt.NDArray[np.int64], ends: Times, user_id: str) -> pa.Table:
    started = compute_starts(ends, ms_played)
    columns = {
        "event_id": make_event_ids(SOURCE, _make_natural_keys(rows, played, ms_played.tolist(), user_id)),
        "event_type": "play",
        "schema_version": SCHEMA_VERSION,
        "user_id": user_id,
        "played_at": started,
        "played_at_basis": find_time_bases(ends, started, ms_played),
        "content_type": [item.content_type for item in played],
        "track_name": [item.name for item in played],
        "artist_name": [item.by for item in played],
        "ms_played": ms_played,
        "source": SOURCE,
        "source_ref": format_source_refs("short", ends),
        "extra": [_collect_extra(row, item) for row, item in zip(rows, played, strict=True)],
    }
    return build_events(columns, len(rows))


def _make_natural_keys(rows: list[Row], played: list[PlayedItem], ms_played: list[int], user_id: str) -> list[str]:
    """The natural key of each row: all its values, and its ordinal among the equal rows of the file."""
    seen: Counter[bytes] = Counter()
    keys = []
    for row, item, ms in zip(rows, played, ms_played, strict=True):
        values = orjson.dumps((user_id, row["endTime"], item.by, item.name, ms))
        keys.append(orjson.dumps((orjson.Fragment(values), seen[values])).decode())
        seen[values] += 1
    return keys


def _collect_extra(row: Row, item: PlayedItem) -> str | None:
    """What the contract has no field for, as JSON: unknown fields, and names that are not the ones used."""
    if row.keys() in _USUAL:
        return None
    used = {"", item.name, item.by}
    mapped = {name for name, value in row.items() if name in _MAPPED and (type(value) is not str or value in used)} | {"endTime"}
    rest = {name: value for name, value in row.items() if value is not None and name not in mapped and not is_personal(name)}
    return write_extra(rest)
