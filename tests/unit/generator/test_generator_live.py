from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest

from soundlake.errors import UsageError
from soundlake.generator import generate_live_events, make_world
from soundlake.generator.output.live_state import LiveState

BEGIN = datetime(2026, 4, 2, tzinfo=UTC)


class Watch:
    """A clock that only sleeping moves."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def read(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def live(small_world):
    def live(from_time, now, ticks, **options):
        watch = Watch(now)
        stream = generate_live_events(small_world, from_time, clock=watch.read, sleep=watch.sleep, **options)
        return list(islice(stream, ticks)), watch

    return live


def ids(parts) -> list[str]:
    return [identity for part in parts for identity in part.events["event_id"].to_pylist()]


def test_live_events_are_never_ahead_of_the_clock(live):
    parts, watch = live(BEGIN, BEGIN + timedelta(hours=3), 30, speed=600)
    sent = pa.concat_tables(part.events for part in parts)["produced_at"].to_numpy()
    assert len(sent) > 20
    assert (np.diff(sent) >= np.timedelta64(0)).all()
    assert parts[-1].until <= watch.now
    assert all(part.events["produced_at"].to_pylist()[-1] < part.until for part in parts if len(part.events))


def test_a_run_that_is_cut_anywhere_goes_on_without_loss_or_repeat(live):
    whole, _ = live(BEGIN, BEGIN + timedelta(hours=30), 1, speed=1e9)
    first, _ = live(BEGIN, BEGIN + timedelta(hours=30), 4, speed=1e9, rate=37)
    rest, _ = live(first[-1].until, BEGIN + timedelta(hours=30), 2, speed=1e9)
    again, _ = live(BEGIN, BEGIN + timedelta(hours=30, seconds=1), 2, speed=1e9)
    assert ids(first) + ids(rest) == ids(again)
    assert set(ids(whole)) <= set(ids(again))


def test_the_rate_bounds_the_events_of_a_second(live):
    parts, _ = live(BEGIN, BEGIN + timedelta(hours=30), 20, speed=1e9, rate=5)
    assert [len(part.events) for part in parts][1:] == [5] * 19


def test_history_and_then_live_tell_what_a_longer_history_tells(small_world, small_events, vary, live):
    assert small_world.config.end == BEGIN.date()
    parts, _ = live(BEGIN, BEGIN + timedelta(days=1), 2, speed=1e9)
    told = [*small_events["event_id"].to_pylist(), *ids(parts)]
    assert len(set(told)) == len(told)
    whole = pa.concat_tables(small_world.make_span(1_774_396_800_000, 1_775_174_400_000))  # 2026-03-25 .. 2026-04-03
    due = whole.filter(pa.compute.less(whole["produced_at"], pa.scalar(BEGIN + timedelta(days=1))))
    assert set(due["event_id"].to_pylist()) <= set(told)


def test_a_beginning_in_the_future_is_refused(live):
    with pytest.raises(UsageError, match="in the future"):
        live(BEGIN + timedelta(days=1), BEGIN, 1)


def test_a_world_remembers_where_it_stopped_and_another_does_not(tmp_path, vary):
    LiveState(tmp_path, vary()).write(BEGIN)
    assert LiveState(tmp_path, vary()).read() == BEGIN
    assert LiveState(tmp_path, vary(seed=9)).read() is None


def test_live_goes_on_in_a_world_of_many_blocks(vary):
    world = make_world(vary(listeners=40))
    watch = Watch(BEGIN + timedelta(hours=2))
    parts = list(islice(generate_live_events(world, BEGIN, clock=watch.read, sleep=watch.sleep, speed=1e9), 3))
    assert len(ids(parts)) == len(set(ids(parts))) > 0
