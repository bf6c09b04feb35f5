from datetime import date
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundlake.generator import generate_events, make_world
from soundlake.generator.model.listeners import make_listeners
from soundlake.generator.model.sessions import DAY_MS, HOUR_MS, plan_sessions


def collect(config) -> pa.Table:
    return pa.concat_tables(generate_events(config)).combine_chunks()


def test_the_same_seed_gives_the_same_events_field_for_field_in_the_same_order(vary, small_events):
    assert collect(vary()).equals(small_events.combine_chunks())


def test_the_same_seed_gives_the_same_ids_in_every_version(small_events):
    first = small_events.sort_by([("played_at", "ascending"), ("event_id", "ascending")]).slice(0, 1).to_pylist()[0]
    assert (first["event_id"], first["session_id"]) == ("c0101978-7180-8b02-a0d6-eb48b866d092", "8ef6c8b0-dfe4-8f1c-b173-df58395edd87")
    assert len(small_events) == pytest.approx(4_106, abs=3)  # floating-point functions differ between machines


def test_another_seed_gives_other_events(vary, small_events):
    assert not set(collect(vary(seed=6))["event_id"].to_pylist()) & set(small_events["event_id"].to_pylist())


def test_another_catalogue_gives_other_event_ids(vary, small_events):
    assert not set(collect(vary(tracks=900))["event_id"].to_pylist()) & set(small_events["event_id"].to_pylist())


def test_adding_listeners_does_not_change_the_others(vary, small_events):
    more = collect(vary(listeners=47))
    of_before = more.filter(pa.compute.is_in(more["user_id"], small_events["user_id"].unique()))
    assert len(more) > len(of_before)
    assert of_before.sort_by("event_id").equals(small_events.sort_by("event_id").combine_chunks())


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(1, 8 * 24 - 1), max_size=4, unique=True))
def test_events_do_not_depend_on_the_spans_they_are_generated_in(small_world, cuts):
    start_ms = (date(2026, 3, 25) - date(1970, 1, 1)).days * DAY_MS
    edges = [start_ms + hour * HOUR_MS for hour in (0, *sorted(cuts), 8 * 24)]
    parts = [table for first, end in pairwise(edges) for table in small_world.make_span(first, end)]
    whole = pa.concat_tables(small_world.make_span(edges[0], edges[-1]))
    assert pa.concat_tables(parts).sort_by("event_id").equals(whole.sort_by("event_id"))


def test_sessions_planned_by_the_hour_equal_sessions_planned_at_once(vary):
    world, midnight_ms = make_world(vary()), (date(2026, 2, 10) - date(1970, 1, 1)).days * DAY_MS
    listeners, period_ms = make_listeners(world.catalogue, 5, np.arange(6_000)), (midnight_ms, midnight_ms + 8 * DAY_MS)
    edges = [midnight_ms + hour * HOUR_MS for hour in range(-24, 25)]
    hours = [plan_sessions(listeners, first, end, period_ms) for first, end in pairwise(edges)]
    whole = plan_sessions(listeners, edges[0], edges[-1], period_ms)
    for column in ("key", "start_ms", "latest_ms", "device"):
        parts = np.concatenate([getattr(part, column) for part in hours])
        assert np.array_equal(np.sort(parts), np.sort(getattr(whole, column))), column


def test_events_do_not_depend_on_the_size_of_the_cohort(small_world, small_events):
    start_ms = (date(2026, 3, 25) - date(1970, 1, 1)).days * DAY_MS
    alone = [small_world.make_listeners_span(number, 1, start_ms, start_ms + 8 * DAY_MS) for number in range(30)]
    together = pa.concat_tables(small_world.make_span(start_ms, start_ms + 8 * DAY_MS))
    assert pa.concat_tables(alone).sort_by("event_id").equals(together.sort_by("event_id"))


def test_events_of_a_chunk_are_in_the_order_they_are_sent(small_world):
    for chunk in small_world.list_chunks():
        sent = small_world.make_events(chunk)["produced_at"].to_numpy()
        assert (sent[1:] >= sent[:-1]).all()


@pytest.mark.parametrize("listeners", [1, 3])
def test_a_world_can_have_few_listeners(vary, listeners):
    events = collect(vary(listeners=listeners, days=60))
    assert 0 < len(set(events["user_id"].to_pylist())) <= listeners


def test_a_longer_run_contains_the_events_of_a_shorter_one(vary):
    short, long = make_world(vary(listeners=20)), make_world(vary(listeners=20, days=9))
    permanent = [  # joining and leaving depend on the length of the period
        number for number in range(20) if _stays(long, number)
    ]
    names = {f"listener-{number:06d}" for number in permanent}
    first_days = [table.filter(pa.compute.is_in(table["user_id"], pa.array(list(names)))) for table in _make_tables(short)]
    ids = {event_id for table in _make_tables(long) for event_id in table["event_id"].to_pylist()}
    assert {event_id for table in first_days for event_id in table["event_id"].to_pylist()} <= ids


def _make_tables(world):
    return [world.make_events(chunk) for chunk in world.list_chunks()]


def _stays(world, number) -> bool:
    listener = make_listeners(world.catalogue, world.config.seed, np.array([number]))
    return bool(np.isinf(listener.join_share[0]) and np.isinf(listener.leave_share[0]))
