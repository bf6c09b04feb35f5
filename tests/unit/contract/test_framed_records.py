"""Framed records: found between others, read by their schema, and rejected with the reason why that failed."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.unit.contract.foreign_records import FOREIGN_RECORDS, PLAIN, UNNAMED, frame

from soundlake.contract import FramedDecoder, Rejection, decode_records
from soundlake.contract.framed_records import Unframed, find_framed, strip_frames
from soundlake.contract.topics import PLAYS
from soundlake.errors import Unavailable

NOW_MS = 1_795_000_000_000  # 2026-11-18T11:06:40Z
OTHERS = [value for name, (value, *_) in {**FOREIGN_RECORDS, **UNNAMED}.items() if not name.startswith("Confluent")]


class Readers:
    """Schema 1 is JSON, 2 cannot be read at all, 3 only in its first record; 4 is not known now."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def find_reader(self, schema_id: int):
        self.asked.append(schema_id)
        if schema_id == 1:
            return strip_frames
        if schema_id == 2:
            return Rejection("unsupported_schema", "schema id 2 is PROTOBUF")
        if schema_id == 3:
            return lambda _: Unframed(pa.array([PLAIN, None], pa.binary()), {1: Rejection("not_avro", "no Avro")})
        raise Unavailable("the registry is away")


def to_columns(values: list[bytes | None]) -> tuple[pa.Array, pa.Array]:
    return pa.array(values, pa.binary()), pa.array([NOW_MS] * len(values), pa.int64())


def test_each_record_ends_in_one_of_both_with_its_own_reason():
    values = [PLAIN, frame(3, b"a"), frame(2, b"a"), None, frame(1, PLAIN), frame(3, b"b"), b"no event", frame(1, b"[]")]
    readers = Readers()
    decoded = FramedDecoder(readers).decode(PLAYS, *to_columns(values))
    assert decoded.event_rows.tolist() == [0, 1, 4]
    assert [(row["row"], row["reason"]) for row in decoded.rejected.to_pylist()] == [
        (2, "unsupported_schema"), (3, "null_value"), (5, "not_avro"), (6, "not_json"), (7, "not_an_object"),
    ]  # fmt: skip
    assert readers.asked == [1, 2, 3]


@pytest.mark.parametrize("start", [0, 1])
def test_records_without_a_frame_are_decoded_as_ever(start):
    readers, records = Readers(), [column[start:] for column in to_columns([PLAIN, None, b"", *OTHERS, PLAIN])]
    plain, framed = decode_records(PLAYS, *records), FramedDecoder(readers).decode(PLAYS, *records)
    assert framed.events.equals(plain.events)
    assert framed.rejected.equals(plain.rejected)
    assert readers.asked == []


def test_an_outage_leaves_nothing_decided():
    with pytest.raises(Unavailable, match="the registry is away"):
        FramedDecoder(Readers()).decode(PLAYS, *to_columns([PLAIN, frame(4, PLAIN)]))


def test_frames_are_found_in_a_slice_too():
    values = pa.array([frame(7, b"x"), b"\0\0\0\0\1", None, frame(2**32 - 1, b"x"), PLAIN, frame(1, b"x")], pa.binary())
    for start in range(len(values)):
        rows, schema_ids = find_framed(values[start:])
        expected = [(row - start, schema_id) for row, schema_id in ((0, 7), (3, 2**32 - 1), (5, 1)) if row >= start]
        assert list(zip(rows.tolist(), schema_ids.tolist(), strict=True)) == expected
    assert find_framed(values[:0])[0].tolist() == []
