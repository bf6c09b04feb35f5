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
    batches = list(inject_faults([events.slice(0, 3_000), events.slice(3_000)], faults, seed))
    return InjectedBatch(
        pa.concat_tables(batch.events for batch in batches),
        [value for batch in batches for value in batch.malformed],
        pa.concat_tables(batch.faults for batch in batches),
    )


@pytest.fixture(scope="module")
def harsh(small_events) -> InjectedBatch:
    return collect(small_events, PROFILES["harsh"])


def decode(values: list[bytes]):
    return decode_records(HISTORY, pa.array(values, pa.binary()), pa.array([NOW_MS] * len(values)))


def test_without_faults_nothing_changes(small_events):
    assert collect(small_events, FaultRates()).events.equals(small_events)


def test_events_decode_even_if_they_are_odd(harsh):
    decoded = decode(encode_events(harsh.events))
    assert len(decoded.rejected) == 0
    assert harsh.events.schema == EVENT_SCHEMA


def test_no_event_is_lost_and_only_recorded_duplicates_occur_twice(small_events, harsh):
    faults = pl.from_arrow(harsh.faults)
    counts = pl.from_arrow(harsh.events)["event_id"].value_counts()
    twice = set(counts.filter(pl.col("count") == 2)["event_id"])
    assert twice == set(faults.filter(fault="duplicate")["event_id"])
    copies = set(faults.filter(fault="copy")["event_id"])
    assert set(counts["event_id"]) - copies == set(small_events["event_id"].to_pylist())
    assert counts["count"].max() == 2


def test_no_malformed_record_decodes_or_shares_bytes_or_an_id(small_events):
    malformed = collect(small_events, FaultRates(malformed=0.3)).malformed
    assert len(decode(malformed).events) == 0
    assert len(set(malformed)) == len(malformed) > 1_000
    text = b"\n".join(malformed)
    assert not any(event_id.encode() in text for event_id in small_events["event_id"].to_pylist())
    assert not any(b"\n" in value for value in malformed)


def test_every_malformation_occurs_and_is_recorded_by_sha256(small_events):
    injected = collect(small_events, FaultRates(malformed=0.1))
    assert set(injected.faults["detail"].to_pylist()) == set(MALFORMATIONS)
    assert set(injected.faults["event_id"].to_pylist()) == {sha256(value).hexdigest() for value in injected.malformed}


def test_late_events_are_sent_later_and_recorded(small_events):
    injected = collect(small_events, FaultRates(late=0.1))
    late = set(injected.faults["event_id"].to_pylist())
    before, after = (_count_others_before(events, late) for events in (small_events, injected.events))
    assert 0.08 * len(small_events) < len(late) < 0.12 * len(small_events)
    assert all(after[event_id] >= before[event_id] for event_id in late)
    assert sum(after[event_id] > before[event_id] for event_id in late) > 0.9 * len(late)


def _count_others_before(events: pa.Table, late: set[str]) -> dict[str, int]:
    """The number of other events before each late event."""
    others, counts = 0, {}
    for event_id in events["event_id"].to_pylist():
        if event_id in late:
            counts[event_id] = others
        else:
            others += 1
    return counts


def test_disorder_changes_the_order_of_events_only(small_events):
    injected = collect(small_events, FaultRates(disorder=0.2))
    assert not injected.events.equals(small_events)
    assert injected.events.sort_by("event_id").equals(small_events.sort_by("event_id"))


def test_events_out_of_order_are_recorded_with_the_distance(small_events):
    injected = collect(small_events, FaultRates(disorder=0.2))
    moved = {fault["event_id"]: int(fault["detail"].removesuffix(" events later")) for fault in injected.faults.to_pylist()}
    assert set(injected.faults["fault"].to_pylist()) == {"disorder"}
    before, after = (
        {event_id: row for row, event_id in enumerate(events["event_id"].to_pylist())} for events in (small_events, injected.events)
    )
    order = [event_id for event_id in injected.events["event_id"].to_pylist() if event_id not in moved]
    assert order == [event_id for event_id in small_events["event_id"].to_pylist() if event_id not in moved]
    assert sum(after[event_id] > before[event_id] for event_id in moved) > 0.7 * len(moved)
    assert max(moved.values()) <= 401


def test_clock_skew_is_constant_for_each_listener(small_events):
    injected = collect(small_events, FaultRates(clock_skew=0.4))
    before = pl.from_arrow(small_events).select("event_id", "user_id", was="played_at")
    skew = (
        pl.from_arrow(injected.events)
        .join(before, on="event_id")
        .group_by("user_id")
        .agg((pl.col("played_at") - pl.col("was")).n_unique().alias("n"))
    )
    assert skew["n"].max() == 1
    assert 0 < len(injected.faults) < len(small_events)


def test_the_same_seed_makes_the_same_faults(small_events, harsh):
    again = collect(small_events, PROFILES["harsh"])
    assert again.events.equals(harsh.events)
    assert again.malformed == harsh.malformed
    assert collect(small_events, PROFILES["harsh"], seed=2).malformed != harsh.malformed


def test_an_invalid_rate_is_an_error_with_the_name_of_the_option():
    with pytest.raises(UsageError, match=r"--clock-skew 0\.9"):
        FaultRates(clock_skew=0.9)


def test_unknown_fields_are_encoded_beside_the_others(small_events):
    lines = encode_events(collect(small_events, FaultRates(odd=0.2)).events)
    assert sum("experiment" in json.loads(line) for line in lines) > 10
