"""What the Real-time page reads of bronze, and that it misses nothing that lies in its windows."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from soundlake.cache.live_metrics import COUNT_OF_TYPE
from soundlake.contract import BRONZE_SCHEMA, LIVE_TOPIC_OF_TYPE
from soundlake.contract.topics import HOURLY
from soundlake.dashboard.live_source import BronzeLiveSource

NOW = datetime(2027, 1, 1, 0, 5, 3, tzinfo=UTC)
HOUR_MS = 3_600_000


def make_event(began: timedelta = timedelta(0), **fields: object) -> dict[str, object]:
    """A play that began that long before now, as bronze holds it."""
    played_at = NOW - began
    play = {
        "event_id": str(uuid.uuid4()), "event_type": "play", "user_id": "ana", "played_at": played_at, "track_id": "t1",
        "ms_played": 40_000, "_ingested_at": NOW, "_batch": 1, "_partition": 0, "_offset": 0,
    }  # fmt: skip
    hour = dict(zip(HOURLY, f"{fields.get('played_at', played_at):%Y-%m-%d-%H}".split("-"), strict=True))
    return play | fields | hour


class Bronze:
    """Bronze tables in memory, and what was read of them."""

    def __init__(self, *events: dict[str, object]) -> None:
        schema = pa.schema([*BRONZE_SCHEMA, *(pa.field(name, pa.string()) for name in HOURLY)])
        self.tables = {
            LIVE_TOPIC_OF_TYPE[kind].table: pa.Table.from_pylist([event for event in events if event["event_type"] == kind], schema)
            for kind in COUNT_OF_TYPE
        }
        self.columns: set[str] = set()
        self.rows = 0

    def read(self, name: str, columns: list[str], chosen: pc.Expression) -> pa.Table:
        self.columns |= set(columns)
        found = self.tables[name].filter(chosen)
        self.rows += len(found)
        return found.select(columns)


def count_plays(*events: dict[str, object]) -> int:
    return sum(minute.started for minute in BronzeLiveSource(Bronze(*events).read).read(NOW).minutes)


@pytest.mark.parametrize(
    "event",
    [
        make_event(),
        make_event(timedelta(minutes=9)),
        make_event(timedelta(hours=23, minutes=59), ms_played=24 * HOUR_MS - 120_000),
        make_event(timedelta(hours=20), ms_played=None, duration_ms=20 * HOUR_MS),
        make_event(timedelta(hours=24), ms_played=2**60),
        make_event(timedelta(seconds=-50), ms_played=0),
    ],
    ids=["now", "before midnight", "a day long", "of known length", "absurdly long", "in the open minute, ahead"],
)
def test_a_play_that_ended_within_the_horizon_counts_whenever_it_began(event):
    assert count_plays(event) == 1


@pytest.mark.parametrize(
    "event",
    [
        make_event(timedelta(minutes=30)),
        make_event(timedelta(hours=20), ms_played=19 * HOUR_MS),
        make_event(timedelta(hours=1), ms_played=-HOUR_MS),
        make_event(user_id=" "),
        make_event(timedelta(minutes=5), _ingested_at=NOW - timedelta(minutes=20)),
    ],
    ids=["over", "long and over", "less than nothing", "of nobody", "told long before it was over"],
)
def test_what_is_over_wrong_or_was_far_ahead_does_not_count(event):
    assert count_plays(event) == 0


def test_only_columns_that_are_needed_and_rows_that_may_count_are_read():
    acts = [make_event(timedelta(hours=1), event_type=kind) for kind in ("skip", "like", "playlist")]
    bronze = Bronze(*acts, *[make_event(timedelta(minutes=minutes), ms_played=200_000) for minutes in range(30, 1_400)])
    BronzeLiveSource(bronze.read).read(NOW)
    assert bronze.rows == 0
    assert {"event_id", "country", "is_private", "extra", "context_uri"} & bronze.columns == {"event_id", "country"}


def test_of_copies_in_the_same_seconds_the_first_in_the_log_counts():
    event = make_event(country="DE", _batch=2, _offset=7)
    metrics = BronzeLiveSource(Bronze(event | {"country": "FR", "_offset": 8}, event, event | {"_batch": 3, "_offset": 9}).read).read(NOW)
    assert metrics.minutes[-1].countries == {"DE": 1}
