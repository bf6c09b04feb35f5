"""Build bronze rows from a decoded batch: events and rejected records, with the coordinates they were read from."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa

from soundlake.contract import BRONZE_SCHEMA, REJECTED_SCHEMA
from soundlake.contract.decode import Decoded
from soundlake.sink.batch import Batch

EVENT_ROWS = BRONZE_SCHEMA.remove(BRONZE_SCHEMA.get_field_index("_batch"))
"""The columns of an event table as a batch has them: `_batch` is added by the commit."""

_REJECTED = REJECTED_SCHEMA.remove(REJECTED_SCHEMA.get_field_index("_batch"))


class Origin:
    """Where and when the records of a batch were read."""

    def __init__(self, broker: str, topic: str, batch: Batch, ingested_at: datetime) -> None:
        self._broker, self._topic, self._batch, self._ingested_at = broker, topic, batch, ingested_at

    def build_columns(self, rows: np.ndarray) -> dict[str, pa.Array]:
        """Bronze's own columns except `_batch`, for these rows of the batch."""
        return {
            "_broker": pa.repeat(self._broker, len(rows)),
            "_topic": pa.repeat(self._topic, len(rows)),
            "_partition": pa.array(self._batch.partitions[rows]),
            "_offset": pa.array(self._batch.offsets[rows]),
            "_ingested_at": pa.repeat(pa.scalar(self._ingested_at, pa.timestamp("us", tz="UTC")), len(rows)),
        }


def build_event_rows(decoded: Decoded, origin: Origin, already_rejected: np.ndarray) -> pa.Table:
    """The rows of the event table: all valid records except those that bronze/rejected holds already."""
    events, rows = decoded.events, decoded.event_rows
    if already_rejected.any():
        kept = ~already_rejected[rows]
        events, rows = events.filter(pa.array(kept)), rows[kept]
    columns = dict(zip(events.column_names, events.columns, strict=True))
    return pa.table({**columns, **origin.build_columns(rows)}, schema=EVENT_ROWS)


def build_rejected_rows(decoded: Decoded, batch: Batch, origin: Origin, already_rejected: np.ndarray) -> pa.Table:
    """The rows of bronze/rejected: bytes and reason of each invalid record that is not there yet."""
    rejected = decoded.rejected
    if already_rejected.any():
        rejected = rejected.filter(pa.array(~already_rejected[rejected["row"].to_numpy()]))
    rows = rejected["row"].to_numpy()
    indices = pa.array(rows)
    return pa.table(
        {
            "value": batch.values.take(indices),
            "key": batch.keys.take(indices),
            **{name: rejected[name] for name in ("reason", "detail", "event_id")},
            **origin.build_columns(rows),
        },
        schema=_REJECTED,
    )
