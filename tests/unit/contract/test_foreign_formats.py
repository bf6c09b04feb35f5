"""Records of other producers: the detail names the format and the way out, in the reference decoder, in bulk and in Spark's workers."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from tests.unit.contract.foreign_records import FOREIGN_RECORDS, PLAIN, UNNAMED

from soundlake.contract import decode_record, decode_records
from soundlake.contract.topics import PLAYS

NOW_MS = 1_795_000_000_000  # 2026-11-18T11:06:40Z
EVERY_VALUE = [value for value, *_ in (*FOREIGN_RECORDS.values(), *UNNAMED.values())]


@pytest.mark.parametrize("name", FOREIGN_RECORDS)
def test_the_detail_names_the_format_and_the_way_out(name):
    value, reason, named = FOREIGN_RECORDS[name]
    found = decode_record(PLAYS, value, NOW_MS)
    assert found.reason == reason
    assert [part for part in named if part not in found.detail] == []
    assert "\n" not in found.detail
    assert len(found.detail) < 250


@pytest.mark.parametrize("name", UNNAMED)
def test_what_is_none_of_the_formats_is_not_named(name):
    value, reason = UNNAMED[name]
    found = decode_record(PLAYS, value, NOW_MS)
    assert found.reason == reason
    assert not any(word in found.detail for word in ("Confluent", "UTF-16", "envelope", "Debezium", "write"))


def test_the_bulk_decoder_gives_the_same_details_between_good_records():
    values = [value for foreign in EVERY_VALUE for value in (PLAIN, foreign)]
    decoded = decode_records(PLAYS, pa.array(values, pa.binary()), pa.array([NOW_MS] * len(values), pa.int64()))
    assert decoded.event_rows.tolist() == list(range(0, len(values), 2))
    rejections = [decode_record(PLAYS, value, NOW_MS) for value in EVERY_VALUE]
    expected = [{"row": 2 * place + 1, **vars(rejection)} for place, rejection in enumerate(rejections)]
    assert decoded.rejected.to_pylist() == expected


def test_the_workers_of_spark_give_the_same_details():
    decoding = pytest.importorskip("soundlake.streaming.decoding")
    count = len(EVERY_VALUE)
    batch = pa.RecordBatch.from_pydict(
        {
            "topic": ["user_plays"] * count,
            "partition": pa.array([0] * count, pa.int32()),
            "offset": list(range(count)),
            "timestamp": pa.array([datetime.fromtimestamp(NOW_MS / 1_000, UTC)] * count, pa.timestamp("us", tz="UTC")),
            "key": pa.nulls(count, pa.binary()),
            "value": pa.array(EVERY_VALUE, pa.binary()),
        }
    )
    rows = [row for found in decoding.decode_batches(iter([batch])) for row in found.to_pylist()]
    details = {row["_offset"]: (row["reason"], row["detail"]) for row in rows}
    rejections = [decode_record(PLAYS, value, NOW_MS) for value in EVERY_VALUE]
    assert details == {place: (rejection.reason, rejection.detail) for place, rejection in enumerate(rejections)}
