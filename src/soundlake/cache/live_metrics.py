"""Live metrics: counts of recent events, in windows of ten seconds and of a minute.

An event counts in the window in which it ended (`contract.expressions.ELAPSED_MS`), however late it arrives. `started` counts all plays;
`plays` counts those that are listens, and so do devices, countries and top tracks. `skips`, `likes` and `playlist_changes` count the events
of these types. A listener is active in each window that holds one of their events.

An event counts once in a window of ten seconds, however often it is recorded: the first recorded copy counts. Copies that end in other
windows count there too; silver decides later which one is right. An event counts only while its minute is within the horizon, and not if
it ends later than the horizon from now: then the producer's clock is ahead.
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
"""How far back live metrics reach, and how far in the future an event may end."""
SHORT_WINDOWS = 30
"""The number of windows of ten seconds: five minutes."""
TOP_TRACKS = 10
TOP_MINUTES = 10
"""The number of minutes over which top tracks are counted."""
UNKNOWN = "unknown"

LIVE_SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string()), pa.field("event_type", pa.string()), pa.field("ended_ms", pa.int64()),
        pa.field("user_id", pa.string()), pa.field("track_id", pa.string()), pa.field("track_name", pa.string()),
        pa.field("artist_name", pa.string()), pa.field("device_type", pa.string()), pa.field("country", pa.string()),
        pa.field("is_listen", pa.bool_()),
    ]
)  # fmt: skip
"""One valid event of any type but now_playing; `ended_ms` is its end in UTC epoch milliseconds; `is_listen` is set for plays."""

COUNT_OF_TYPE = {"play": "started", "skip": "skips", "like": "likes", "playlist": "playlist_changes"}
"""The count to which an event of each type adds."""


@dataclass(frozen=True)
class LiveWindow:
    """The counts of one window; `begins_at` is in UTC."""

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
    """A track and its number of plays in the last minutes."""

    track_id: str
    track_name: str
    artist_name: str
    plays: int


@dataclass(frozen=True)
class LiveMetrics:
    """Five minutes of short windows and fifteen of long ones, oldest first, the last one still open; and the top tracks."""

    read_at: datetime
    short: tuple[LiveWindow, ...]
    minutes: tuple[LiveWindow, ...]
    top_tracks: tuple[TopTrack, ...]


def list_window_starts(now: datetime, seconds: int) -> list[int]:
    """List the starts of the windows of that length at `now`, in epoch seconds, oldest first."""
    newest = int(now.timestamp()) // seconds * seconds
    count = SHORT_WINDOWS if seconds == SHORT_SECONDS else HORIZON_SECONDS // seconds
    return [newest - seconds * back for back in range(count - 1, -1, -1)]


def is_in_horizon(ended_ms: int, now_ms: int) -> bool:
    """Return whether an event that is recorded at `now_ms` counts: its minute is within the horizon, and it is not too far ahead."""
    return ended_ms // 60_000 * 60_000 >= now_ms - HORIZON_SECONDS * 1_000 and ended_ms <= now_ms + HORIZON_SECONDS * 1_000


def summarize(events: pa.Table, now: datetime) -> LiveMetrics:
    """Compute the metrics of all events (LIVE_SCHEMA, in the order of recording). This defines the result of every store."""
    rows = _keep_first(events.to_pylist())
    minutes = _summarize_windows(rows, now, MINUTE_SECONDS)
    return LiveMetrics(now, _summarize_windows(rows, now, SHORT_SECONDS), minutes, _rank_tracks(rows, now))


def _keep_first(rows: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    first: dict[tuple[object, object, int], dict[str, object]] = {}
    for row in rows:
        first.setdefault((row["event_type"], row["event_id"], _find_window(row, SHORT_SECONDS)), row)
    return list(first.values())


def _summarize_windows(rows: Iterable[dict[str, object]], now: datetime, seconds: int) -> tuple[LiveWindow, ...]:
    by_window: dict[int, list[dict[str, object]]] = {start: [] for start in list_window_starts(now, seconds)}
    for row in rows:
        if (window := by_window.get(_find_window(row, seconds))) is not None:
            window.append(row)
    return tuple(_summarize_window(start, seconds, window) for start, window in by_window.items())


def _summarize_window(start: int, seconds: int, rows: list[dict[str, object]]) -> LiveWindow:
    plays = [row for row in rows if row["is_listen"]]
    counts = Counter(COUNT_OF_TYPE[str(row["event_type"])] for row in rows)
    return LiveWindow(
        datetime.fromtimestamp(start, UTC),
        seconds,
        plays=len(plays),
        listeners=len({row["user_id"] for row in rows}),
        devices=Counter(str(row["device_type"] or UNKNOWN) for row in plays),
        countries=Counter(str(row["country"] or UNKNOWN) for row in plays),
        **counts,
    )


def _rank_tracks(rows: list[dict[str, object]], now: datetime) -> tuple[TopTrack, ...]:
    starts = set(list_window_starts(now, MINUTE_SECONDS)[-TOP_MINUTES:])
    plays = [row for row in rows if row["is_listen"] and row["track_id"] and _find_window(row, MINUTE_SECONDS) in starts]
    plays.sort(key=lambda row: _find_window(row, MINUTE_SECONDS))  # of two names of a track, that of the newest minute is shown
    names = {str(row["track_id"]): (str(row["track_name"]), str(row["artist_name"] or "")) for row in plays if row["track_name"]}
    counts = Counter(str(row["track_id"]) for row in plays)
    return rank_tracks(counts, names)


def rank_tracks(counts: Mapping[str, int], names: Mapping[str, tuple[str, str]]) -> tuple[TopTrack, ...]:
    """Rank the tracks by plays, ties by id; `names` holds title and artist by id."""
    best = sorted(counts, key=lambda track: (-counts[track], track))[:TOP_TRACKS]
    return tuple(TopTrack(track, *names.get(track, ("", "")), counts[track]) for track in best)


def _find_window(row: Mapping[str, object], seconds: int) -> int:
    ended_ms = row["ended_ms"]
    assert isinstance(ended_ms, int)
    return ended_ms // (seconds * 1_000) * seconds
