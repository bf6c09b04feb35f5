"""Rows of the short form: end to the minute, names, milliseconds; music and podcasts, in one file or apart."""

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
from soundlake.history.models import SOURCE, Reading
from soundlake.history.personal_fields import is_personal
from soundlake.history.play_columns import (
    Row,
    Times,
    build_events,
    format_ends,
    judge_plays,
    name_bases,
    parse_times,
    start_times,
    take_milliseconds,
    take_texts,
    write_extra,
)

_LAYOUT = "%Y-%m-%d %H:%M"
_MAPPED = frozenset({"endTime", "artistName", "trackName", "podcastName", "episodeName", "msPlayed"})
_USUAL = ({"endTime", "artistName", "trackName", "msPlayed"}, {"endTime", "podcastName", "episodeName", "msPlayed"})


class Named(NamedTuple):
    """What a row says was played: `by` is the artist or the show."""

    name: str
    by: str
    content_type: str | None


def read_short(rows: Sequence[Row], *, user_id: str, now: datetime) -> Reading:
    """Judge each row, and make the plays of those that are not refused."""
    named = _name_played(rows)
    ms_played = take_milliseconds(rows, "msPlayed")
    ends = parse_times([row["endTime"] for row in rows], layout=_LAYOUT)
    reasons = judge_plays(np.array([one is not None for one in named], bool), ms_played, ends, now, time_reason="bad_end_time")
    kept = [number for number, reason in enumerate(reasons) if reason is None]
    played = [one for number in kept if (one := named[number]) is not None]
    return Reading(reasons, _build([rows[number] for number in kept], played, ms_played[kept], ends[kept], user_id))


def _name_played(rows: Sequence[Row]) -> list[Named | None]:
    """A song and its artist or an episode and its show; a row says that it is an episode by the fields it uses."""
    fields = (take_texts(rows, name) for name in ("trackName", "episodeName", "artistName", "podcastName"))
    return [
        Named(name, by, "episode" if by == show else None) if (name := track or episode) and (by := artist or show) else None
        for track, episode, artist, show in zip(*fields, strict=True)
    ]


def _build(rows: list[Row], played: list[Named], ms_played: npt.NDArray[np.int64], ends: Times, user_id: str) -> pa.Table:
    started = start_times(ends, ms_played)
    columns = {
        "event_id": make_event_ids(SOURCE, _natural_keys(rows, played, ms_played.tolist(), user_id)),
        "event_type": "play",
        "schema_version": SCHEMA_VERSION,
        "user_id": user_id,
        "played_at": started,
        "played_at_basis": name_bases(ends, started, ms_played),
        "content_type": [one.content_type for one in played],
        "track_name": [one.name for one in played],
        "artist_name": [one.by for one in played],
        "ms_played": ms_played,
        "source": SOURCE,
        "source_ref": format_ends("short", ends),
        "extra": [_keep_rest(row, one) for row, one in zip(rows, played, strict=True)],
    }
    return build_events(columns, len(rows))


def _natural_keys(rows: list[Row], played: list[Named], ms_played: list[int], user_id: str) -> list[str]:
    """What makes each row itself: all it says, and its ordinal among the rows of this file that say the same."""
    seen: Counter[bytes] = Counter()
    keys = []
    for row, one, ms in zip(rows, played, ms_played, strict=True):
        said = orjson.dumps((user_id, row["endTime"], one.by, one.name, ms))
        keys.append(orjson.dumps((orjson.Fragment(said), seen[said])).decode())
        seen[said] += 1
    return keys


def _keep_rest(row: Row, one: Named) -> str | None:
    """What no field of the contract holds, as JSON: fields that the short form is not known to have, and names beside those taken."""
    if row.keys() in _USUAL:
        return None
    told = {"", one.name, one.by}
    mapped = {name for name, value in row.items() if name in _MAPPED and (type(value) is not str or value in told)} | {"endTime"}
    rest = {name: value for name, value in row.items() if value is not None and name not in mapped and not is_personal(name)}
    return write_extra(rest)
