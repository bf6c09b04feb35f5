"""Polling a log that is at hand: partition by partition, each with an even share of what may be taken."""

from __future__ import annotations

from collections.abc import Mapping

from soundlake.broker.checks import check_known
from soundlake.broker.protocol import Broker, Records


def poll_by_fetching(broker: Broker, topic: str, offsets: Mapping[int, int], *, max_records: int, max_bytes: int) -> list[Records]:
    """What `Broker.poll` promises, by `offsets` and a `fetch` of each partition that has something."""
    held = broker.offsets(topic)
    check_known(topic, len(held), offsets)
    for number, offset in offsets.items():
        held[number].check(topic, number, offset)
    waiting = [number for number, offset in offsets.items() if offset < held[number].end]
    runs = list[Records]()
    for index, number in enumerate(waiting):
        if max_records <= 0:
            break
        sharing = len(waiting) - index
        limits = {"max_records": max(max_records // sharing, 1), "max_bytes": max(max_bytes // sharing, 1)}
        runs.append(broker.fetch(topic, number, offsets[number], **limits))
        max_records -= len(runs[-1])
        max_bytes -= runs[-1].values.nbytes
    return runs
