"""A decoded_batch batch as rows of bronze: events and rejected records with the place they were read from."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa

from soundlake.contract import BRONZE_SCHEMA, REJECTED_SCHEMA
from soundlake.contract.decode import Decoded
from soundlake.sink.batch import Batch

_EVENTS = BRONZE_SCHEMA.remove(BRONZE_SCHEMA.get_field_index("_batch"))
_REJECTED = REJECTED_SCHEMA.remove(REJECTED_SCHEMA.get_field_index("_batch"))


class Origin:
    """Where and when the records of a batch were read."""

    def __init__(self, broker: str, topic: str, batch: Batch, ingested_at: datetime) -> None:
        self._broker, self._topic, self._batch, self._ingested_at = broker, topic, batch, ingested_at

    def describe(self, rows: np.ndarray) -> dict[str, pa.Array]:
        """Bronze's own columns but the batch number, for these rows of the batch."""
        return {
            "_broker": pa.repeat(self._broker, len(rows)),
            "_topic": pa.repeat(self._topic, len(rows)),
            "_partition": pa.array(self._batch.partitions[rows]),
            "_offset": pa.array(self._batch.offsets[rows]),
            "_ingested_at": pa.repeat(pa.scalar(self._ingested_at, pa.timestamp("us", tz="UTC")), len(rows)),
        }


def build_event_rows(decoded: Decoded, origin: Origin, stood: np.ndarray) -> pa.Table:
    """The rows of the event table: all good records but those that stand in bronze/rejected already."""
    events, rows = decoded.events, decoded.event_rows
    if stood.any():
        kept = ~stood[rows]
        events, rows = events.filter(pa.array(kept)), rows[kept]
    columns = dict(zip(events.column_names, events.columns, strict=True))
    return pa.table({**columns, **origin.describe(rows)}, schema=_EVENTS)


def build_rejected_rows(decoded: Decoded, batch: Batch, origin: Origin, stood: np.ndarray) -> pa.Table:
    """The rows of bronze/rejected: bytes and reason of each record that was refused and does not stand there yet."""
    rejected = decoded.rejected
    if stood.any():
        rejected = rejected.filter(pa.array(~stood[rejected["row"].to_numpy()]))
    rows = rejected["row"].to_numpy()
    taken = pa.array(rows)
    return pa.table(
        {
            "value": batch.values.take(taken),
            "key": batch.keys.take(taken),
            **{name: rejected[name] for name in ("reason", "detail", "event_id")},
            **origin.describe(rows),
        },
        schema=_REJECTED,
    )
