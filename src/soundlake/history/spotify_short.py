"""Read rows of the short form: end to the minute, names, milliseconds; music, podcasts and audiobooks, in one file or in several.

The form of 2018 has `time`, to the second, in place of `endTime`, and no length; whether it is the start or the end is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
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
    format_instants,
    format_source_refs,
    normalize_text,
    parse_times,
    read_milliseconds,
    read_texts,
    write_extra,
)

_LAYOUT = "%Y-%m-%d %H:%M"
_NAMES = (("trackName", "artistName", None), ("episodeName", "podcastName", "episode"), ("chapterName", "audiobookName", "chapter"))
"""The fields of title and artist (show, book), and the content type that they say."""
_TITLES = frozenset(title for title, _, _ in _NAMES)
_MAPPED = frozenset({"endTime", "msPlayed", *(field for names in _NAMES for field in names[:2] if field)})
_USUAL = tuple({time, *names[:2], *length} for names in _NAMES for time, length in (("endTime", ("msPlayed",)), ("time", ())))


def is_short(names: Collection[str]) -> bool:
    """Whether a row with fields of these names is of the short form."""
    if "endTime" in names:
        return "msPlayed" in names or not _TITLES.isdisjoint(names)
    return {"time", "artistName", "trackName"} <= {*names}


class PlayedItem(NamedTuple):
    """The item that a row names: `by` is the artist, the show or the book."""

    name: str
    by: str
    content_type: str | None


class ShortRows:
    """Reads the rows of one file, in parts: equal rows have ordinals in the file."""

    def __init__(self, user_id: str, now: datetime) -> None:
        self._user_id = user_id
        self._now = now
        self._seen: Counter[bytes] = Counter()

    def read(self, rows: Sequence[Row]) -> FormRows:
        """Find the rows to refuse, and make plays of the others."""
        items = _find_played_items(rows)
        ms_played = read_milliseconds(rows, "msPlayed")
        is_unknown = np.array(["endTime" not in row and row.get("msPlayed") is None for row in rows], bool)
        ends = parse_times([row["endTime"] if "endTime" in row else row["time"] for row in rows], layout=_LAYOUT)
        named = np.array([item is not None for item in items], bool)
        reasons = find_refusal_reasons(named, np.where(is_unknown, 0, ms_played), ends, self._now, time_reason="bad_end_time")
        kept = [number for number, reason in enumerate(reasons) if reason is None]
        played = [item for number in kept if (item := items[number]) is not None]
        return FormRows(reasons, self._build([rows[number] for number in kept], played, ms_played[kept], is_unknown[kept], ends[kept]))

    def _build(
        self, rows: list[Row], played: list[PlayedItem], ms_played: npt.NDArray[np.int64], is_unknown: npt.NDArray[np.bool_], ends: Times
    ) -> pa.Table:
        known_ms = np.where(is_unknown, 0, ms_played)
        started = compute_starts(ends, known_ms)
        bases = np.where(is_unknown, "reported", find_time_bases(ends, started, known_ms))
        lengths = pa.array(ms_played, mask=is_unknown)
        columns = {
            "event_id": make_event_ids(SOURCE, self._make_natural_keys(played, lengths.to_pylist(), ends)),
            "event_type": "play",
            "schema_version": SCHEMA_VERSION,
            "user_id": self._user_id,
            "played_at": started,
            "played_at_basis": bases.tolist(),
            "content_type": [item.content_type for item in played],
            "track_name": [item.name for item in played],
            "artist_name": [item.by for item in played],
            "ms_played": lengths,
            "source": SOURCE,
            "source_ref": format_source_refs("short", ends),
            "extra": [_collect_extra(row, item) for row, item in zip(rows, played, strict=True)],
        }
        return build_events(columns, len(rows))

    def _make_natural_keys(self, played: list[PlayedItem], lengths: list[int | None], ends: Times) -> list[str]:
        """The natural key of each row: all its values, and its ordinal among the equal rows of the file."""
        keys = []
        for end, item, ms in zip(format_instants(ends), played, lengths, strict=True):
            values = orjson.dumps((self._user_id, _write_end(end), normalize_text(item.by), normalize_text(item.name), ms))
            keys.append(orjson.dumps((orjson.Fragment(values), self._seen[values])).decode())
            self._seen[values] += 1
        return keys


def _write_end(instant: str) -> str:
    """The end as in `endTime`: a whole minute has no seconds."""
    text = instant.removesuffix("Z").replace("T", " ")
    return text.removesuffix(":00") if len(text) > len("0000-00-00 00:00") else text


def _find_played_items(rows: Sequence[Row]) -> list[PlayedItem | None]:
    """A song with its artist, an episode with its show or a chapter with its book; the fields that a row uses say which."""
    titles = zip(*(read_texts(rows, title) for title, _, _ in _NAMES), strict=True)
    makers = zip(*(read_texts(rows, by) for _, by, _ in _NAMES), strict=True)
    items: list[PlayedItem | None] = []
    for names, bys in zip(titles, makers, strict=True):
        name, by = next(filter(None, names), None), next(filter(None, bys), None)
        kinds = [kind for found, (_, _, kind) in zip(bys, _NAMES, strict=True) if found == by]
        items.append(PlayedItem(name, by, kinds[-1]) if name and by else None)
    return items


def _collect_extra(row: Row, item: PlayedItem) -> str | None:
    """What the contract has no field for, as JSON: unknown fields, and names that are not the ones used."""
    if row.keys() in _USUAL:
        return None
    used = {"", item.name, item.by}
    mapped = {name for name, value in row.items() if name in _MAPPED and (type(value) is not str or value in used)}
    mapped |= {"endTime" if "endTime" in row else "time", "msPlayed"}
    rest = {name: value for name, value in row.items() if value is not None and name not in mapped and not is_personal(name)}
    return write_extra(rest)
