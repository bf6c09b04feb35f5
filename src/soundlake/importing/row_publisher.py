"""Publish new rows to user_history: each event and each refused row once, with an error if the log does not take it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import pyarrow as pa

from soundlake.broker import Delivery, Publisher
from soundlake.contract import HISTORY
from soundlake.errors import Unavailable
from soundlake.importing.stored_rows import Mask, StoredRows
from soundlake.lake import Forgotten

_NEXT_STEP = "check that the log can be written, then import the same files again: rows that have arrived are not published again"


class RowPublisher:
    """Publishes to user_history, so that live events do not wait behind an import; `forgotten` is whose rows are not to be published."""

    def __init__(self, publisher: Publisher, stored: StoredRows, forgotten: Forgotten) -> None:
        self.forgotten = forgotten
        self._publisher = publisher
        self._stored = stored

    def publish_plays(self, events: pa.Table) -> Mask:
        """Publish the new events of the table (EVENT_SCHEMA), and repeats that add a content type or a name; true for the new ones."""
        is_new = self._stored.add_events(events)
        wanted = events.filter(pa.array(is_new | self._stored.add_fields(events, is_new)))
        report = self._publisher.publish(wanted, topic=HISTORY)
        if report.acknowledged != report.sent:
            reasons = "; ".join(report.failed_by_reason) or "no answer"
            raise Unavailable(f"{report.sent - report.acknowledged} plays could not be published: {reasons}", next_step=_NEXT_STEP)
        return is_new

    def publish_records(self, events: pa.Table, values: Sequence[bytes]) -> Mask:
        """Publish the records of these events unchanged if the events are new; true for the new ones."""
        is_new = self._stored.add_events(events)
        keys = events["user_id"].cast(pa.binary()).filter(pa.array(is_new)).to_pylist()
        self._publish(keys, list(compress(values, is_new.tolist())))
        return is_new

    def publish_refused(self, keys: Sequence[bytes | None], values: Sequence[bytes]) -> None:
        """Publish the refused rows that bronze/rejected does not hold yet; the sink will reject them."""
        new = self._stored.add_refused(values)
        self._publish([keys[number] for number in new], [values[number] for number in new])

    def _publish(self, keys: Sequence[bytes | None], values: Sequence[bytes]) -> None:
        if values:
            _check(self._publisher.publish_raw(HISTORY, keys, values))


def _check(delivery: Delivery) -> None:
    if delivery.acknowledged != delivery.count:
        reasons = "; ".join(sorted({*delivery.failed.values(), *delivery.unsure.values()}))
        raise Unavailable(f"{delivery.count - delivery.acknowledged} records could not be published: {reasons}", next_step=_NEXT_STEP)
