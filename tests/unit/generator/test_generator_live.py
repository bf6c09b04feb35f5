from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from soundlake.errors import DataError, UsageError
from soundlake.generator import generate_live_events, make_world
from soundlake.generator.output.live_state import LiveState

START = datetime(2026, 4, 2, tzinfo=UTC)


class FakeClock:
    """A clock that advances by sleeping only."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def read(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def live(small_world):
    def live(from_time, now, ticks, **options):
        clock = FakeClock(now)
        stream = generate_live_events(small_world, from_time, clock=clock.read, sleep=clock.sleep, **options)
        return list(islice(stream, ticks)), clock

    return live


def ids(parts) -> list[str]:
    return [event_id for part in parts for event_id in part.events["event_id"].to_pylist()]


def test_live_events_are_never_ahead_of_the_clock(live):
    parts, clock = live(START, START + timedelta(hours=3), 30, speed=600)
    sent = pa.concat_tables(part.events for part in parts)["produced_at"].to_numpy()
    assert len(sent) > 20
    assert (np.diff(sent) >= np.timedelta64(0)).all()
    assert parts[-1].until <= clock.now
    assert all(part.events["produced_at"].to_pylist()[-1] < part.until for part in parts if len(part.events))


def test_an_interrupted_run_resumes_without_loss_or_duplicates(live):
    whole, _ = live(START, START + timedelta(hours=30), 1, speed=1e9)
    first, _ = live(START, START + timedelta(hours=30), 4, speed=1e9, rate=37)
    rest, _ = live(first[-1].until, START + timedelta(hours=30), 2, speed=1e9)
    again, _ = live(START, START + timedelta(hours=30, seconds=1), 2, speed=1e9)
    assert ids(first) + ids(rest) == ids(again)
    assert set(ids(whole)) <= set(ids(again))


def test_the_rate_limits_the_events_per_second(live):
    parts, _ = live(START, START + timedelta(hours=30), 20, speed=1e9, rate=5)
    assert [len(part.events) for part in parts][1:] == [5] * 19


def test_history_followed_by_live_events_equals_a_longer_history(small_world, small_events, vary, live):
    assert small_world.config.end == START.date()
    parts, _ = live(START, START + timedelta(days=1), 2, speed=1e9)
    sent_ids = [*small_events["event_id"].to_pylist(), *ids(parts)]
    assert len(set(sent_ids)) == len(sent_ids)
    whole = pa.concat_tables(small_world.make_span(1_774_396_800_000, 1_775_174_400_000))  # 2026-03-25 .. 2026-04-03
    due = whole.filter(pa.compute.less(whole["produced_at"], pa.scalar(START + timedelta(days=1))))
    assert set(due["event_id"].to_pylist()) <= set(sent_ids)


def test_a_start_in_the_future_is_an_error(live):
    with pytest.raises(UsageError, match="in the future"):
        live(START + timedelta(days=1), START, 1)


@pytest.mark.parametrize("change", [{"seed": 9}, {"listeners": 31}, {"tracks": 801}, {"catalog": Path("tracks.parquet")}], ids=str)
def test_the_state_of_a_live_run_belongs_to_its_world(tmp_path, vary, change):
    LiveState(tmp_path, vary()).write(START)
    assert LiveState(tmp_path, vary()).read() == START
    assert LiveState(tmp_path, vary(**change)).read() is None


def test_an_invalid_state_of_a_live_run_is_an_error_with_the_next_step(tmp_path, vary):
    LiveState(tmp_path, vary()).write(START)
    next(tmp_path.iterdir()).write_text("{}")
    with pytest.raises(DataError, match=r"not the state of a live run\n.*remove the file"):
        LiveState(tmp_path, vary()).read()


def test_live_events_are_unique_in_a_larger_world(vary):
    world = make_world(vary(listeners=40))
    clock = FakeClock(START + timedelta(hours=2))
    parts = list(islice(generate_live_events(world, START, clock=clock.read, sleep=clock.sleep, speed=1e9), 3))
    assert len(ids(parts)) == len(set(ids(parts))) > 0
