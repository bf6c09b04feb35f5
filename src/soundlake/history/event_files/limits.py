"""The size limit of a record, and what is kept of a larger one."""

from __future__ import annotations

import hashlib

from soundlake.contract.refused_rows import wrap_refused_row
from soundlake.history.json_values import LargeValue, Value

EVENTS_SOURCE = "events"
"""The name of this import in reports and refused rows."""
MAX_EVENT_BYTES = 960 * 1024
"""Limit of a record: the log takes 1 MiB with the key, for which 64 KiB are left."""


def limit_record(value: Value) -> bytes:
    """The record; in place of one above the limit a refused row with its size and hash."""
    if isinstance(value, bytes):
        if len(value) <= MAX_EVENT_BYTES:
            return value
        value = LargeValue(len(value), hashlib.sha256(value).hexdigest())
    refused = value.refuse()
    return wrap_refused_row(refused.reason, EVENTS_SOURCE, "", refused.row)
