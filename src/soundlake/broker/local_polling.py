"""Poll for logs in this process: reads partition by partition, with the limits divided evenly among them."""

from __future__ import annotations

from collections.abc import Mapping

from soundlake.broker.protocol import Broker, Records
from soundlake.broker.validation import check_partitions_exist


def poll_by_fetching(broker: Broker, topic: str, offsets: Mapping[int, int], *, max_records: int, max_bytes: int) -> list[Records]:
    """`Broker.poll`, made of `offsets` and one `fetch` for each partition that has records."""
    held = broker.offsets(topic)
    check_partitions_exist(topic, len(held), offsets)
    for number, offset in offsets.items():
        held[number].check(topic, number, offset)
    behind = [number for number, offset in offsets.items() if offset < held[number].end]
    runs = list[Records]()
    for index, number in enumerate(behind):
        if max_records <= 0:
            break
        remaining = len(behind) - index
        limits = {"max_records": max(max_records // remaining, 1), "max_bytes": max(max_bytes // remaining, 1)}
        runs.append(broker.fetch(topic, number, offsets[number], **limits))
        max_records -= len(runs[-1])
        max_bytes -= runs[-1].values.nbytes
    return runs
