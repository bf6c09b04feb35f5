import json
from hashlib import sha256

import polars as pl
import pyarrow as pa
import pytest

from soundlake.contract import EVENT_SCHEMA, HISTORY
from soundlake.contract.decode import decode_records
from soundlake.contract.encode import encode_events
from soundlake.errors import UsageError
from soundlake.generator.output.fault_injection import PROFILES, FaultRates, InjectedBatch, inject_faults
from soundlake.generator.output.malformed_records import MALFORMATIONS

NOW_MS = 1_775_200_000_000  # 2026-04-03


def collect(events: pa.Table, faults: FaultRates, seed: int = 1) -> InjectedBatch:
    parts = list(inject_faults([events.slice(0, 3_000), events.slice(3_000)], faults, seed))
    return InjectedBatch(
        pa.concat_tables(part.events for part in parts),
        [value for part in parts for value in part.broken],
        pa.concat_tables(part.notes for part in parts),
    )


@pytest.fixture(scope="module")
def harsh(small_events) -> InjectedBatch:
    return collect(small_events, PROFILES["harsh"])


def decode(values: list[bytes]):
    return decode_records(HISTORY, pa.array(values, pa.binary()), pa.array([NOW_MS] * len(values)))


def test_without_faults_nothing_changes(small_events):
    assert collect(small_events, FaultRates()).events.equals(small_events)


def test_good_events_all_decode_however_odd(harsh):
    decoded = decode(encode_events(harsh.events))
    assert len(decoded.rejected) == 0
    assert harsh.events.schema == EVENT_SCHEMA


def test_no_event_is_lost_and_only_noted_ones_are_there_twice(small_events, harsh):
    notes = pl.from_arrow(harsh.notes)
    counts = pl.from_arrow(harsh.events)["event_id"].value_counts()
    twice = set(counts.filter(pl.col("count") == 2)["event_id"])
    assert twice == set(notes.filter(fault="duplicate")["event_id"])
    copies = set(notes.filter(fault="copy")["event_id"])
    assert set(counts["event_id"]) - copies == set(small_events["event_id"].to_pylist())
    assert counts["count"].max() == 2


def test_no_broken_record_decodes_or_shares_bytes_or_an_id(small_events):
    broken = collect(small_events, FaultRates(malformed=0.3)).broken
    assert len(decode(broken).events) == 0
    assert len(set(broken)) == len(broken) > 1_000
    text = b"\n".join(broken)
    assert not any(identity.encode() in text for identity in small_events["event_id"].to_pylist())
    assert not any(b"\n" in value for value in broken)


def test_every_way_of_breaking_occurs_and_is_noted_by_sha256(small_events):
    disturbed = collect(small_events, FaultRates(malformed=0.1))
    assert set(disturbed.notes["detail"].to_pylist()) == set(MALFORMATIONS)
    assert set(disturbed.notes["event_id"].to_pylist()) == {sha256(value).hexdigest() for value in disturbed.broken}


def test_late_events_come_later_than_their_time_and_are_noted(small_events):
    disturbed = collect(small_events, FaultRates(late=0.1))
    late = set(disturbed.notes["event_id"].to_pylist())
    before, after = (_count_others_before(events, late) for events in (small_events, disturbed.events))
    assert 0.08 * len(small_events) < len(late) < 0.12 * len(small_events)
    assert all(after[identity] >= before[identity] for identity in late)
    assert sum(after[identity] > before[identity] for identity in late) > 0.9 * len(late)


def _count_others_before(events: pa.Table, late: set[str]) -> dict[str, int]:
    """How many events that are not late come before each one that is."""
    others, counts = 0, {}
    for identity in events["event_id"].to_pylist():
        if identity in late:
            counts[identity] = others
        else:
            others += 1
    return counts


def test_disorder_moves_events_and_changes_none(small_events):
    disturbed = collect(small_events, FaultRates(disorder=0.2))
    assert not disturbed.events.equals(small_events)
    assert disturbed.events.sort_by("event_id").equals(small_events.sort_by("event_id"))


def test_events_out_of_order_are_noted_with_how_far_they_moved(small_events):
    disturbed = collect(small_events, FaultRates(disorder=0.2))
    noted = {note["event_id"]: int(note["detail"].removesuffix(" events later")) for note in disturbed.notes.to_pylist()}
    assert set(disturbed.notes["fault"].to_pylist()) == {"disorder"}
    before, after = (
        {identity: row for row, identity in enumerate(events["event_id"].to_pylist())} for events in (small_events, disturbed.events)
    )
    order = [identity for identity in disturbed.events["event_id"].to_pylist() if identity not in noted]
    assert order == [identity for identity in small_events["event_id"].to_pylist() if identity not in noted]
    assert sum(after[identity] > before[identity] for identity in noted) > 0.7 * len(noted)
    assert max(noted.values()) <= 401


def test_a_wrong_clock_is_wrong_by_the_same_amount_all_the_time(small_events):
    disturbed = collect(small_events, FaultRates(clock_skew=0.4))
    before = pl.from_arrow(small_events).select("event_id", "user_id", was="played_at")
    skew = (
        pl.from_arrow(disturbed.events)
        .join(before, on="event_id")
        .group_by("user_id")
        .agg((pl.col("played_at") - pl.col("was")).n_unique().alias("n"))
    )
    assert skew["n"].max() == 1
    assert 0 < len(disturbed.notes) < len(small_events)


def test_the_same_seed_makes_the_same_faults(small_events, harsh):
    again = collect(small_events, PROFILES["harsh"])
    assert again.events.equals(harsh.events)
    assert again.broken == harsh.broken
    assert collect(small_events, PROFILES["harsh"], seed=2).broken != harsh.broken


def test_an_impossible_share_is_refused_by_name():
    with pytest.raises(UsageError, match=r"--clock-skew 0\.9"):
        FaultRates(clock_skew=0.9)


def test_unknown_fields_stand_beside_the_others_on_the_wire(small_events):
    lines = encode_events(collect(small_events, FaultRates(odd=0.2)).events)
    assert sum("experiment" in json.loads(line) for line in lines) > 10
