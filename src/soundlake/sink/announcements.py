"""user_events_dlq: tells who listens that a record was rejected. The record itself is kept in bronze/rejected alone."""

from __future__ import annotations

import orjson
import pyarrow as pa

from soundlake.broker.protocol import Broker
from soundlake.contract import DLQ_TOPIC
from soundlake.errors import Unavailable

_TOLD = ("_topic", "_partition", "_offset", "reason", "detail", "event_id")


def announce_rejected(broker: Broker, rows: pa.Table) -> None:
    """Publish one announcement a row, keyed by its coordinates; a restart in mid-batch may repeat some."""
    if not len(rows):
        return
    told = rows.select(_TOLD).rename_columns([name.lstrip("_") for name in _TOLD]).to_pylist()
    keys = [f"{row['topic']}/{row['partition']}/{row['offset']}".encode() for row in told]
    delivery = broker.append(DLQ_TOPIC, keys, [orjson.dumps(row) for row in told])
    if delivery.acknowledged < delivery.count:
        raise Unavailable(
            f"{DLQ_TOPIC}: {delivery.count - delivery.acknowledged} announcements were not taken", next_step="start the sink again"
        )
