"""Decode records of which some are framed: in Confluent's wire format, with the id of a schema in front of the payload.

The wire format: a zero byte, the schema id as four bytes, big endian, then the payload
(https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format). A framed record is read as
JSON by its schema, and then decoded like any other: the contract decides what is an event, the schema only how the bytes are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa

from soundlake.contract.decode import REJECTION_SCHEMA, Decoded, decode_records
from soundlake.contract.foreign_formats import FRAME_BYTES
from soundlake.contract.reference_decoder import Rejection
from soundlake.contract.topics import Topic

FRAMED_REJECTION_REASONS = ("unknown_schema_id", "unsupported_schema", "not_avro")
"""Why a framed record cannot be read: no such schema, one of another kind than JSON Schema and Avro, other bytes than its schema's."""

HIGHEST_SCHEMA_ID = 2**31 - 1
"""Registries count in signed numbers of 32 bits; others are not asked for."""

_UTF16_BRACE = int.from_bytes(b'{\0"\0', "big")  # `{"` in UTF-16 begins with a zero byte too

Decode = Callable[[Topic, pa.Array, pa.Array], Decoded]
"""Decodes records of one topic as `decode_records` does: values (binary), and each record's own time in the log (int64, milliseconds)."""


@dataclass(frozen=True)
class Unframed:
    """The values of framed records as JSON; those in `rejected`, by their place, are null."""

    values: pa.Array
    rejected: Mapping[int, Rejection] = field(default_factory=dict)


ReadFramed = Callable[[pa.Array], Unframed]
"""Reads framed values of one schema as JSON."""


class SchemaReaders(Protocol):
    """Finds out how the records of a schema are read."""

    def find_reader(self, schema_id: int) -> ReadFramed | Rejection:
        """The reader of this schema's records, or the reason why none of them can be read.

        Raises Unavailable if the registry does not answer, SettingsError if it refuses this client.
        """


class FramedDecoder:
    """Decodes records of a topic, framed or not, with the schemas of a registry. Each schema is asked for once a call at most."""

    def __init__(self, readers: SchemaReaders) -> None:
        self._readers = readers

    def decode(self, topic: Topic, values: pa.Array, timestamps_ms: pa.Array) -> Decoded:
        """Decode records as `decode_records` does. Raises what `SchemaReaders.find_reader` raises; no record is rejected then."""
        unframed = self.unframe(values)
        decoded = decode_records(topic, unframed.values, timestamps_ms)
        if not unframed.rejected:
            return decoded
        return Decoded(decoded.events, decoded.event_rows, _replace_rejections(decoded.rejected, unframed.rejected))

    def unframe(self, values: pa.Array) -> Unframed:
        """The framed values among these (binary, nulls allowed) as JSON, all others unchanged."""
        rows, schema_ids = find_framed(values)
        if not len(rows):
            return Unframed(values)
        parts, rejected = [values], dict[int, Rejection]()
        sources = np.arange(len(values))
        for schema_id in np.unique(schema_ids).tolist():
            places = rows[schema_ids == schema_id]
            read = self._readers.find_reader(schema_id)
            found = _reject_all(read, len(places)) if isinstance(read, Rejection) else read(values.take(pa.array(places)))
            sources[places] = sum(map(len, parts)) + np.arange(len(places))
            parts.append(found.values)
            rejected |= {int(places[place]): rejection for place, rejection in found.rejected.items()}
        return Unframed(pa.concat_arrays(parts).take(pa.array(sources)), rejected)


def find_framed(values: pa.BinaryArray) -> tuple[np.ndarray, np.ndarray]:
    """Find the framed values: their rows, and the schema id of each."""
    if len(values) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    offsets = np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4)
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    rows = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False) & (np.diff(offsets) > FRAME_BYTES))
    rows = rows[data[offsets[rows]] == 0]
    ids = data[offsets[rows][:, None] + np.arange(1, FRAME_BYTES)].view(">u4").ravel().astype(np.int64)
    is_framed = ids != _UTF16_BRACE
    return rows[is_framed], ids[is_framed]


def strip_frames(values: pa.Array) -> Unframed:
    """The payloads as they are: the reader of records whose payload is JSON. (Arrow's own binary_slice fails on some arrays.)"""
    offsets = np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4)
    data = np.frombuffer(values.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    starts = offsets - offsets[0]
    is_payload = np.ones(len(data), bool)
    is_payload[starts[:-1, None] + np.arange(FRAME_BYTES)] = False
    ends = (starts - np.arange(len(starts)) * FRAME_BYTES).astype(np.int32)
    return Unframed(pa.BinaryArray.from_buffers(pa.binary(), len(values), [None, pa.py_buffer(ends), pa.py_buffer(data[is_payload])]))


def frame(schema_id: int, payload: bytes) -> bytes:
    """The payload in the wire format."""
    return b"\0" + schema_id.to_bytes(FRAME_BYTES - 1, "big") + payload


def _reject_all(rejection: Rejection, count: int) -> Unframed:
    return Unframed(pa.nulls(count, pa.binary()), dict.fromkeys(range(count), rejection))


def _replace_rejections(found: pa.Table, unframed: Mapping[int, Rejection]) -> pa.Table:
    """The rejected records with the reasons for which some could not be read; these were decoded as null."""
    rows = [
        {"row": row["row"], **vars(unframed[row["row"]])} if row["row"] in unframed else row for row in found.to_pylist()
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=REJECTION_SCHEMA)
