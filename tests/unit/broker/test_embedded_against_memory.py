"""The embedded broker and the one in memory answer alike, for any sequence of calls."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.broker.broker_contract import SteppingClock, read_all

from soundlake.broker import EmbeddedBroker, MemoryBroker
from soundlake.contract.topics import PLAYS, SKIPS

TOPICS = st.sampled_from([PLAYS.name, SKIPS.name])
BYTES = st.none() | st.binary(max_size=9)
APPENDS = st.tuples(st.just("append"), TOPICS, st.lists(st.tuples(BYTES, BYTES), max_size=12))
TRIMS = st.tuples(st.just("trim"), TOPICS, st.dictionaries(st.integers(0, 1), st.integers(0, 30)))


def apply(broker, verb, topic, what):
    if verb == "append":
        return broker.append(topic, [key for key, _ in what], [value for _, value in what])
    return broker.trim(topic, what)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(APPENDS | TRIMS, max_size=12),
    limits=st.fixed_dictionaries({"max_records": st.integers(1, 20), "max_bytes": st.integers(0, 60)}),
)
def test_both_brokers_answer_alike(steps, limits):
    with tempfile.TemporaryDirectory() as folder:
        brokers = [MemoryBroker(SteppingClock()), EmbeddedBroker(Path(folder) / "broker.db", SteppingClock())]
        for broker in brokers:
            broker.create_topics([PLAYS, SKIPS], partitions=2)
        for step in steps:
            answers = [apply(broker, *step) for broker in brokers]
            assert answers[0] == answers[1]
        for topic in (PLAYS.name, SKIPS.name):
            memory, embedded = ((b.offsets(topic), read_all(b, topic, **limits)) for b in brokers)
            assert embedded == memory
            assert read_all(brokers[1], topic) == memory[1]
        brokers[1].close()
