"""What the Real-time page reads of bronze: every event of its windows counts, once, and each row is read once."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from soundlake.cache.live_metrics import COUNT_OF_TYPE
from soundlake.contract import BRONZE_SCHEMA, LIVE_TOPIC_OF_TYPE
from soundlake.dashboard.bronze_live_source import BronzeLiveSource
from soundlake.errors import Unavailable

NOW = datetime(2027, 1, 1, 0, 5, 3, tzinfo=UTC)
HOUR_MS = 3_600_000


def make_event(started_before: timedelta = timedelta(0), **fields: object) -> dict[str, object]:
    """A row of bronze: a play that started that long before now."""
    play = {
        "event_id": str(uuid.uuid4()), "event_type": "play", "user_id": "ana", "played_at": NOW - started_before, "track_id": "t1",
        "ms_played": 40_000, "_ingested_at": NOW, "_batch": 1, "_partition": 0, "_offset": 0,
    }  # fmt: skip
    return play | fields


class FakeBronze:
    """Bronze tables in memory that return each row once, and what was read of them."""

    def __init__(self, *events: dict[str, object]) -> None:
        self.new_rows = list(events)
        self.columns: set[str] = set()
        self.rows_read = 0
        self.broken_table: str | None = None

    def read(self, table: str, columns: list[str], rows_where: pc.Expression, since: datetime) -> pa.Table:
        if table == self.broken_table:
            raise Unavailable("the disk does not answer")
        self.columns |= set(columns)
        found = [event for event in self.new_rows if LIVE_TOPIC_OF_TYPE[event["event_type"]].table == table]
        self.new_rows = [event for event in self.new_rows if event not in found]
        rows = pa.Table.from_pylist(found, BRONZE_SCHEMA).filter(rows_where & (pc.field("played_at") >= pa.scalar(since)))
        self.rows_read += len(rows)
        return rows.select(columns)


def count_started(*events: dict[str, object]) -> int:
    return sum(minute.started for minute in BronzeLiveSource(FakeBronze(*events).read).read(NOW).minutes)


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
def test_a_play_that_ended_within_the_horizon_counts_whenever_it_started(event):
    assert count_started(event) == 1


@pytest.mark.parametrize(
    "event",
    [
        make_event(timedelta(minutes=30)),
        make_event(timedelta(hours=20), ms_played=19 * HOUR_MS),
        make_event(timedelta(hours=1), ms_played=-HOUR_MS),
        make_event(user_id=" "),
        make_event(timedelta(minutes=5), _ingested_at=NOW - timedelta(minutes=20)),
    ],
    ids=["ended before", "long and ended before", "negative length", "without a listener", "stored long before it ended"],
)
def test_a_play_that_ended_before_is_invalid_or_was_stored_too_early_does_not_count(event):
    assert count_started(event) == 0


def test_only_needed_columns_and_rows_that_may_count_are_read():
    interactions = [make_event(timedelta(hours=1), event_type=kind) for kind in ("skip", "like", "playlist")]
    bronze = FakeBronze(*interactions, *[make_event(timedelta(minutes=minutes), ms_played=200_000) for minutes in range(30, 1_400)])
    BronzeLiveSource(bronze.read).read(NOW)
    assert bronze.rows_read == 0
    assert {"event_id", "country", "is_private", "extra", "context_uri"} & bronze.columns == {"event_id", "country"}


def test_of_copies_in_the_same_seconds_the_first_in_the_log_counts():
    event = make_event(country="DE", _batch=2, _offset=7)
    copies = FakeBronze(event | {"country": "FR", "_offset": 8}, event, event | {"_batch": 3, "_offset": 9})
    assert BronzeLiveSource(copies.read).read(NOW).minutes[-1].countries == {"DE": 1}


@pytest.mark.parametrize("seed", range(5))
def test_reads_in_parts_give_the_same_metrics_as_one_read(seed):
    draw = random.Random(seed)
    events = [make_random_event(draw, number) for number in range(400)]
    events += [event | {"_offset": 1_000 + number} for number, event in enumerate(draw.sample(events, 50))]
    bronze = FakeBronze()
    source = BronzeLiveSource(bronze.read)
    moments = [NOW + timedelta(minutes=2 * step) for step in range(8)]
    stored: list[dict[str, object]] = []
    for batch, now in enumerate(moments, 1):
        part = [event | {"_batch": batch, "_ingested_at": now} for event in events[batch - 1 :: len(moments)]]
        bronze.new_rows += part
        stored += part
        assert source.read(now) == BronzeLiveSource(FakeBronze(*stored).read).read(now)
    assert any(minute.plays for minute in source.read(moments[-1]).minutes)


def make_random_event(draw: random.Random, number: int) -> dict[str, object]:
    """Any event type, from two hours before now until after the last read."""
    started_before = timedelta(seconds=draw.randint(-1_500, 7_200))
    return make_event(
        started_before,
        event_id=f"e{number}", event_type=draw.choice(list(COUNT_OF_TYPE)), user_id=draw.choice(["ana", "bo", " "]),
        track_id=draw.choice(["t1", "t2", "t3"]), track_name=draw.choice(["One", "Two", None]), ms_played=draw.randint(0, 7_000_000),
        country=draw.choice(["DE", "FR", None]), _offset=number,
    )  # fmt: skip


def test_rows_read_before_a_table_failed_are_kept():
    bronze = FakeBronze(make_event(), make_event(event_type="like"))
    bronze.broken_table = "likes"
    source = BronzeLiveSource(bronze.read)
    with pytest.raises(Unavailable):
        source.read(NOW)
    bronze.broken_table = None
    newest = source.read(NOW).minutes[-1]
    assert (newest.started, newest.likes) == (1, 1)
