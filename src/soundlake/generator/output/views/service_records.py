"""What the streaming service itself recorded of each play: pauses, and the end that its exports give. All views observe this."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from soundlake.contract import EVENT_SCHEMA
from soundlake.generator.model.randomness import Floats, Ints
from soundlake.generator.output.views.source_faults import SourceFault, add_faults

_MINUTE_MS = 60_000
_IDLE_REASONS = ("logout", "unexpected-exit-while-paused")
_SHORTEST_PAUSED_MS, _SHORTEST_GAP_MS, _LAST_GAP_MS = 20_000, 10_000, 60 * _MINUTE_MS
_KEPT_COLUMNS = (
    "user_id", "session_id", "track_id", "track_name", "artist_id", "artist_name", "album_id", "album_name", "duration_ms", "ms_played",
    "reason_start", "reason_end", "is_skipped", "is_shuffle", "is_offline", "is_private", "context_uri", "device_type", "platform",
    "country",
)  # fmt: skip

SERVICE_FAULTS = (
    SourceFault("paused", 0.25, "paused and resumed before the next play, where there is time for it", "FoxxMD/multi-scrobbler#709"),
    SourceFault("lag", 1.0, "an export's ts is 0 to 2 s after the end", "real exports: 20 of 627 short rows are in the minute before ts"),
    SourceFault("stored_on_return", 0.7, "an offline play has the ts of the next connection", "real exports: hours to days", "session_id"),
    SourceFault(
        "stored_at_next_start", 0.6, "after logout or an unexpected exit ts is the next start of the app", "real exports: 15 % of all rows"
    ),
)
"""In all exports of a listener alike: they are copies of one record."""


def describe_plays(plays: pa.Table, seed: int) -> pa.Table:
    """The plays (EVENT_SCHEMA) by listener and start, with the faults of the service and these columns (UTC, epoch ms):

    `started_ms`; `pause_begin_ms` (`started_ms` without a pause); `ended_ms`, with the pause; `closed_ms`, when the player was left;
    `stored_ms`, the end that exports give. `play_id` is the event_id of the play; `day` its UTC day; `user_day` names both.
    """
    plays = plays.sort_by([("user_id", "ascending"), ("played_at", "ascending"), ("event_id", "ascending")])
    started, sent = (_read_ms(plays[name]) for name in ("played_at", "produced_at"))
    described = plays.select(_KEPT_COLUMNS).append_column("play_id", plays["event_id"])
    day = pc.strftime(plays["played_at"], "%Y-%m-%d")
    described = described.append_column("user_day", pc.binary_join_element_wise(plays["user_id"], day, " "))
    described = add_faults(described, "service", SERVICE_FAULTS, seed)
    happened = _simulate_ends(described, started, sent)
    described = described.drop_columns([name for name in happened if name in described.column_names])
    for name, values in happened.items():
        described = described.append_column(name, pa.array(values))
    for name in ("artist_name", "track_name"):
        described = described.append_column(f"{name}_nfd", pc.utf8_normalize(described[name], form="NFD"))
    return described


def _simulate_ends(plays: pa.Table, started: Ints, sent: Ints) -> dict[str, Ints | NDArray[np.bool_]]:
    """The times of `describe_plays`, and which plays really have the faults: not every play can."""
    heard = plays["ms_played"].fill_null(0).to_numpy()
    following = np.append(started[1:], 0)
    user = plays["user_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    has_next = np.append(user[1:] == user[:-1], False)[: len(user)]
    gap = np.where(has_next, following - started - heard, _LAST_GAP_MS)
    pause_draw = _read_draw(plays, "paused")
    is_paused = plays["paused"].to_numpy() & (heard >= _SHORTEST_PAUSED_MS) & (gap > _SHORTEST_GAP_MS)
    pause = np.where(is_paused, np.minimum(0.8 * gap, 3_000 + 20 * _MINUTE_MS * pause_draw**4), 0).astype(np.int64)
    ended = started + heard + pause
    is_left = np.isin(plays["reason_end"].to_numpy(zero_copy_only=False), _IDLE_REASONS)
    idle = np.where(is_left, np.clip(0.9 * (gap - pause), 0, _draw_idle_ms(_read_draw(plays, "stored_at_next_start"))), 0).astype(np.int64)
    closed = ended + idle
    stored = closed + (1_999 * _read_draw(plays, "lag")).astype(np.int64)
    is_offline = plays["is_offline"].fill_null(False).to_numpy()  # noqa: FBT003  # a value, not an option
    is_delayed = is_offline & plays["stored_on_return"].to_numpy()
    stored = np.where(is_delayed, np.maximum(stored, sent), stored)
    is_late = is_left & ~is_offline & has_next & plays["stored_at_next_start"].to_numpy() & (following > stored)
    return {
        "started_ms": started,
        "pause_begin_ms": started + np.where(is_paused, (0.1 + 0.8 * pause_draw) * heard, 0).astype(np.int64),
        "ended_ms": ended,
        "closed_ms": closed,
        "stored_ms": np.where(is_late, following, stored),
        "paused": is_paused,
        "stored_on_return": is_delayed,
        "stored_at_next_start": is_late,
    }


def _draw_idle_ms(shares: Floats) -> Floats:
    """The time until a paused player is closed: ten minutes for half of them, up to forty for the others, as in real exports."""
    return np.where(shares < 0.5, 10.0, 80.0 * (shares - 0.5)) * _MINUTE_MS  # noqa: PLR2004


def _read_draw(plays: pa.Table, fault: str) -> Floats:
    return np.asarray(plays[f"{fault}_draw"].to_numpy())


def _read_ms(times: pa.ChunkedArray) -> Ints:
    """Epoch ms of a column of times."""
    return np.asarray(times.cast(EVENT_SCHEMA.field("played_at").type).cast(pa.int64()).to_numpy() // 1_000)
