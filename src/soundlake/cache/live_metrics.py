"""Live metrics: what happens this minute, by windows of ten seconds and of a minute.

An event counts in the window in which it was over: a play when it ended, an act when it was done (`contract.measures`), however late it is
told. `started` are all plays, `plays` those that count as listens, as everywhere else; devices, countries and top tracks are of these.
`skips`, `likes` and `playlist_changes` are acts of their own. A listener is active in every window in which an event of theirs lies.

An event counts once in its ten seconds however often it is told: of copies with different contents the one that was recorded first. Copies
that say that it was over in other ten seconds count there too; which is right is for silver to say. It counts only while its minute is
within the horizon, and not if it is told before it was over by more than the horizon: then a clock is ahead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa

SHORT_SECONDS = 10
MINUTE_SECONDS = 60
HORIZON_SECONDS = 900
"""So far back live metrics reach, and so far ahead of its being told an event may be over."""
SHORT_WINDOWS = 30
"""So many windows of ten seconds are told: five minutes."""
TOP_TRACKS = 10
TOP_MINUTES = 10
"""Over so many minutes the top tracks are counted."""
UNKNOWN = "unknown"

LIVE_SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string()), pa.field("event_type", pa.string()), pa.field("ended_ms", pa.int64()),
        pa.field("user_id", pa.string()), pa.field("track_id", pa.string()), pa.field("track_name", pa.string()),
        pa.field("artist_name", pa.string()), pa.field("device_type", pa.string()), pa.field("country", pa.string()),
        pa.field("is_listen", pa.bool_()),
    ]
)  # fmt: skip
"""One valid event of any type but now_playing; `ended_ms` when it was over, in UTC epoch milliseconds; `is_listen` of plays."""

COUNT_OF_TYPE = {"play": "started", "skip": "skips", "like": "likes", "playlist": "playlist_changes"}
"""By event type: the count that it adds to."""


@dataclass(frozen=True)
class LiveWindow:
    """What happened in one window of time; `begins_at` in UTC."""

    begins_at: datetime
    seconds: int
    started: int = 0
    plays: int = 0
    skips: int = 0
    likes: int = 0
    playlist_changes: int = 0
    listeners: int = 0
    devices: Mapping[str, int] = field(default_factory=dict)
    countries: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TopTrack:
    """A track and how often it was played in the last minutes."""

    track_id: str
    track_name: str
    artist_name: str
    plays: int


@dataclass(frozen=True)
class LiveMetrics:
    """The windows up to now, oldest first, the last one still open: five minutes of short ones, fifteen of long ones; the top tracks."""

    read_at: datetime
    short: tuple[LiveWindow, ...]
    minutes: tuple[LiveWindow, ...]
    top_tracks: tuple[TopTrack, ...]


def list_begins(now: datetime, seconds: int) -> list[int]:
    """When the windows of that length begin that are told at `now`: epoch seconds, oldest first."""
    newest = int(now.timestamp()) // seconds * seconds
    count = SHORT_WINDOWS if seconds == SHORT_SECONDS else HORIZON_SECONDS // seconds
    return [newest - seconds * back for back in range(count - 1, -1, -1)]


def is_in_horizon(ended_ms: int, now_ms: int) -> bool:
    """Whether an event that is recorded at `now_ms` counts: its minute may still change, and it is not too far ahead."""
    return ended_ms // 60_000 * 60_000 >= now_ms - HORIZON_SECONDS * 1_000 and ended_ms <= now_ms + HORIZON_SECONDS * 1_000


def summarize(events: pa.Table, now: datetime) -> LiveMetrics:
    """The metrics of these events (LIVE_SCHEMA, in the order of recording), reckoned whole: the definition that every store agrees with."""
    rows = _keep_first(events.to_pylist())
    minutes = _summarize_windows(rows, now, MINUTE_SECONDS)
    return LiveMetrics(now, _summarize_windows(rows, now, SHORT_SECONDS), minutes, _rank_tracks(rows, now))


def _keep_first(rows: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    first: dict[tuple[object, object, int], dict[str, object]] = {}
    for row in rows:
        first.setdefault((row["event_type"], row["event_id"], _find_window(row, SHORT_SECONDS)), row)
    return list(first.values())


def _summarize_windows(rows: Iterable[dict[str, object]], now: datetime, seconds: int) -> tuple[LiveWindow, ...]:
    by_window: dict[int, list[dict[str, object]]] = {begin: [] for begin in list_begins(now, seconds)}
    for row in rows:
        if (window := by_window.get(_find_window(row, seconds))) is not None:
            window.append(row)
    return tuple(_summarize_window(begin, seconds, window) for begin, window in by_window.items())


def _summarize_window(begin: int, seconds: int, rows: list[dict[str, object]]) -> LiveWindow:
    plays = [row for row in rows if row["is_listen"]]
    counts = Counter(COUNT_OF_TYPE[str(row["event_type"])] for row in rows)
    return LiveWindow(
        datetime.fromtimestamp(begin, UTC),
        seconds,
        plays=len(plays),
        listeners=len({row["user_id"] for row in rows}),
        devices=Counter(str(row["device_type"] or UNKNOWN) for row in plays),
        countries=Counter(str(row["country"] or UNKNOWN) for row in plays),
        **counts,
    )


def _rank_tracks(rows: list[dict[str, object]], now: datetime) -> tuple[TopTrack, ...]:
    begins = set(list_begins(now, MINUTE_SECONDS)[-TOP_MINUTES:])
    plays = [row for row in rows if row["is_listen"] and row["track_id"] and _find_window(row, MINUTE_SECONDS) in begins]
    plays.sort(key=lambda row: _find_window(row, MINUTE_SECONDS))  # a track of two names is shown by that of the newest minute
    names = {str(row["track_id"]): (str(row["track_name"]), str(row["artist_name"] or "")) for row in plays if row["track_name"]}
    counts = Counter(str(row["track_id"]) for row in plays)
    return rank_tracks(counts, names)


def rank_tracks(counts: Mapping[str, int], names: Mapping[str, tuple[str, str]]) -> tuple[TopTrack, ...]:
    """The tracks played most, of equals the first by id; `names` holds title and artist by id."""
    best = sorted(counts, key=lambda track: (-counts[track], track))[:TOP_TRACKS]
    return tuple(TopTrack(track, *names.get(track, ("", "")), counts[track]) for track in best)


def _find_window(row: Mapping[str, object], seconds: int) -> int:
    ended_ms = row["ended_ms"]
    assert isinstance(ended_ms, int)
    return ended_ms // (seconds * 1_000) * seconds
