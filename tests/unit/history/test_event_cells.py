"""One cell at a time: what it becomes in the type of its field, whatever the type of its column."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest

from soundlake.contract import FIELD_BY_NAME
from soundlake.history.event_files.cells import convert_cells

BAD = object()
AT = datetime(2024, 3, 1, 10, tzinfo=UTC)


def convert(field, column):
    found = convert_cells(FIELD_BY_NAME[field], column)
    values = [BAD if bad else value for value, bad in zip(found.values.to_pylist(), found.is_bad.tolist(), strict=True)]
    assert all(value is None for value, bad in zip(found.values.to_pylist(), found.is_bad.tolist(), strict=True) if bad)
    return values, found


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("duration_ms", "180000", 180_000), ("duration_ms", " 180000 ", 180_000), ("duration_ms", "180000.0", 180_000),
        ("duration_ms", "1.8e5", 180_000), ("duration_ms", "+5", 5), ("duration_ms", "-5", -5), ("duration_ms", "007", 7),
        ("duration_ms", "9223372036854775807", 2**63 - 1), ("duration_ms", "9223372036854775808", BAD), ("duration_ms", "1e999", BAD),
        ("duration_ms", "0e9999", 0), ("duration_ms", "1.5", BAD), ("duration_ms", "3:45", BAD), ("duration_ms", "Infinity", BAD),
        ("duration_ms", "", None), ("duration_ms", "  ", None), ("duration_ms", "NaN", None), ("duration_ms", "<NA>", None),
        ("duration_ms", "NA", None), ("duration_ms", "N/A", None), ("duration_ms", "\\N", None), ("track_name", "NA", "NA"),
        ("duration_ms", "true", BAD), ("duration_ms", "1,000", BAD), ("duration_ms", "٣", BAD),
        ("is_shuffle", "True", True), ("is_shuffle", "f", False), ("is_shuffle", "1", True), ("is_shuffle", "0.0", False),
        ("is_shuffle", "yes", BAD), ("is_shuffle", "2", BAD), ("is_shuffle", "", None), ("is_shuffle", "None", None),
        ("track_name", "", None), ("track_name", "NaN", "NaN"), ("track_name", " x ", " x "), ("track_name", "007", "007"),
        ("event_id", " 5b9d ", "5b9d"), ("event_type", "play ", "play"),
        ("played_at", "2024-03-01T10:00:00Z", AT), ("played_at", "2024-03-01 10:00:00", AT), ("played_at", "2024-03-01T10:00", AT),
        ("played_at", "2024-03-01 11:00:00+01", AT), ("played_at", "2024-03-01T11:00:00 +0100", AT),
        ("played_at", "2024-03-01T11:00:00+01:00[Europe/Berlin]", AT), ("played_at", "2024-03-01 10:00:00 UTC", AT),
        ("played_at", "2024-03-01 10:00:00,000", AT), ("played_at", "2024-03-01 10:00:00.000000999+00:00", AT),
        ("played_at", "2024-03-01 10:00:00.0000000001", AT), ("played_at", "1709287200", AT), ("played_at", "1709287200000", AT),
        ("played_at", "1709287200000000", AT), ("played_at", "1709287200000000999", AT), ("played_at", "1709287200.0", AT),
        ("played_at", "1.7092872e9", AT), ("played_at", "2024-03-01", BAD), ("played_at", "20240301", BAD), ("played_at", "0", BAD),
        ("played_at", "01/03/2024 10:00", BAD), ("played_at", "2023-02-29 10:00:00", BAD), ("played_at", "2024-03-01 24:00:00", BAD),
        ("played_at", "2024-03-01 10:00:00 CET", BAD), ("played_at", "9" * 19, BAD), ("played_at", "", None), ("played_at", "NaT", None),
    ],
)  # fmt: skip
def test_a_text(field, text, value):
    assert convert(field, pa.array([text]))[0] == [value]


@pytest.mark.parametrize(
    ("field", "column", "values"),
    [
        ("duration_ms", pa.array([1.0, 1.5, math.nan, math.inf, None, 2.0**63]), [1, BAD, None, BAD, None, BAD]),
        ("duration_ms", pa.array([1, 2**64 - 1], pa.uint64()), [1, BAD]),
        ("duration_ms", pa.array([Decimal("180000.00"), Decimal("0.50")]), [180_000, BAD]),
        ("duration_ms", pa.array([np.float16(5)], pa.float16()), [5]),
        ("duration_ms", pa.array([True]), [BAD]),
        ("duration_ms", pa.nulls(2), [None, None]),
        ("duration_ms", pa.array([[1], None]), [BAD, None]),
        ("is_shuffle", pa.array([1.0, 0.0, math.nan, 2.0]), [True, False, None, BAD]),
        ("track_id", pa.array([12345, None]), ["12345", None]),
        ("track_name", pa.array(["a", "", "a"]).dictionary_encode(), ["a", None, "a"]),
        ("track_name", pa.array(["ü"], pa.large_string()), ["ü"]),
        ("track_name", pa.array([b"\xff", "ü".encode(), None]), [BAD, "ü", None]),
        ("track_name", pa.array([{"de": "x"}, None]), [BAD, None]),
        ("event_id", pa.array([UUID(int=5).bytes], pa.uuid()), [str(UUID(int=5))]),
        ("played_at", pa.array([1_709_287_200_000_000_999], pa.timestamp("ns")), [AT]),
        ("played_at", pa.array([1_709_287_200_000], pa.timestamp("ms", "Europe/Berlin")), [AT]),
        ("played_at", pa.array([2**62, 1_709_287_200, None], pa.timestamp("s", "UTC")), [BAD, AT, None]),
        ("played_at", pa.array([date(2024, 3, 1)]), [BAD]),
        ("played_at", pa.array([1_709_287_200_000, 0, None]), [AT, BAD, None]),
        ("played_at", pa.array([1_709_287_200.0, math.nan]), [AT, None]),
        ("produced_at", pa.array([b"2024-03-01T10:00:00Z", b"\xff"]), [AT, BAD]),
    ],
)
def test_a_column(field, column, values):
    assert convert(field, column)[0] == values


def test_times_without_zone_and_numbers_are_counted():
    texts = pa.array(["2024-03-01T10:00:00Z", "2024-03-01 10:00:00", "2024-03-01 25:00:00", "1709287200", None])
    _, found = convert("played_at", texts)
    assert (found.without_zone, found.as_numbers) == (1, 1)
    assert convert("played_at", pa.array([1, None], pa.timestamp("us")))[1].without_zone == 1
    assert convert("played_at", pa.array([1, None], pa.timestamp("us", "UTC")))[1].without_zone == 0


def test_a_column_without_rows():
    for field in ("duration_ms", "is_shuffle", "track_name", "played_at"):
        assert convert(field, pa.array([], pa.string()))[0] == []
        assert convert(field, pa.array([], pa.float64()))[0] == []
