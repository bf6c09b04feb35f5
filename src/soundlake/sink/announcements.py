"""Announce rejected records on user_events_dlq. The records themselves are in bronze/rejected only."""

from __future__ import annotations

import orjson
import pyarrow as pa

from soundlake.broker.protocol import Broker
from soundlake.contract import DLQ_TOPIC
from soundlake.errors import Unavailable

_COLUMNS = ("_topic", "_partition", "_offset", "reason", "detail", "event_id")


def announce_rejected(broker: Broker, rows: pa.Table) -> None:
    """Publish one announcement a row, keyed by its coordinates; at least once, as a restart may repeat some.

    Raises Unavailable if the log did not acknowledge all of them.
    """
    if not len(rows):
        return
    announcements = rows.select(_COLUMNS).rename_columns([name.lstrip("_") for name in _COLUMNS]).to_pylist()
    keys = [f"{row['topic']}/{row['partition']}/{row['offset']}".encode() for row in announcements]
    delivery = broker.append(DLQ_TOPIC, keys, [orjson.dumps(row) for row in announcements])
    if delivery.acknowledged < delivery.count:
        raise Unavailable(
            f"{DLQ_TOPIC}: {delivery.count - delivery.acknowledged} of {delivery.count} announcements were not acknowledged",
            next_step="start the sink again",
        )
