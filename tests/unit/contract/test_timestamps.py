"""Timestamps as text: one by one and by the column, in both directions."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from soundlake.contract.timestamps import FIRST_MICROS, LAST_MICROS, format_timestamps, parse_timestamp, parse_timestamps

SECOND = 1_000_000
BASE = 1_794_909_600 * SECOND  # 2026-11-17T10:00:00Z
VALID = {
    "2026-11-17T10:00:00Z": BASE,
    "2026-11-17t10:00:00z": BASE,
    "2026-11-17 10:00:00Z": BASE,
    "2026-11-17T10:00:59Z": BASE + 59 * SECOND,
    "2026-11-17T10:59:00Z": BASE + 59 * 60 * SECOND,
    "2026-11-17T23:59:59Z": BASE + (14 * 3600 - 1) * SECOND,
    "2026-11-17T00:00:00Z": BASE - 10 * 3600 * SECOND,
    "2026-11-17T10:00:00.1Z": BASE + 100_000,
    "2026-11-17T10:00:00.123Z": BASE + 123_000,
    "2026-11-17T10:00:00.123456Z": BASE + 123_456,
    "2026-11-17T10:00:00.123456789Z": BASE + 123_456,
    "2026-11-17T10:00:00.000000999Z": BASE,
    "2026-11-17T10:00:00+02:00": BASE - 2 * 3600 * SECOND,
    "2026-11-17T10:00:00-02:30": BASE + 9_000 * SECOND,
    "2026-11-17T10:00:00.5+23:59": BASE + 500_000 - (24 * 3600 - 60) * SECOND,
    "2024-02-29T00:00:00Z": 1_709_164_800 * SECOND,
    "2000-02-29T00:00:00Z": 951_782_400 * SECOND,
    "1970-01-01T00:00:00Z": 0,
    "1969-12-31T23:59:59.999Z": -1_000,
    "2026-01-31T00:00:00Z": 1_769_817_600 * SECOND,
    "2026-12-31T00:00:00Z": 1_798_675_200 * SECOND,
    "0001-01-01T00:00:00Z": FIRST_MICROS,
    "9999-12-31T23:59:59.999999Z": LAST_MICROS,
    "9999-12-31T23:59:59.999999999Z": LAST_MICROS,
}
INVALID = [
    "2026-11-17T10:00:60Z", "2026-11-17T10:00:60.000Z", "2026-11-17T10:00:60.000000Z", "2026-11-17T23:59:60Z", "2026-12-31T23:59:60Z",
    "2016-12-31T23:59:60Z", "2026-11-17T10:00:60+00:00", "2026-11-17T10:00:61Z", "2026-11-17T10:60:00Z", "2026-11-17T24:00:00Z",
    "2026-11-17T25:00:00Z", "2026-11-00T10:00:00Z", "2026-11-31T10:00:00Z", "2026-13-01T10:00:00Z", "2026-00-10T10:00:00Z",
    "2026-02-29T10:00:00Z", "1900-02-29T10:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
    "2026-11-17T10:00:00", "2026-11-17T10:00Z", "2026-11-17", "20261117T100000Z", "2026-11-17T10:00:00.Z", "2026-11-17T10:00:00,123Z",
    "2026-11-17T10:00:00.1234567890Z", "2026-11-17T10:00:00+24:00", "2026-11-17T10:00:00+00:60", "2026-11-17T10:00:00+0200",
    "2026-11-17T10:00:00 Z", "2026-11-17T10:00:00Z ", " 2026-11-17T10:00:00Z", "2026/11/17T10:00:00Z", "2026-11/17T10:00:00Z",
    "2026-11-17T10.00:00Z", "2026-11-17T10:00.00Z", "2026-11-17T10:00:00X", "2026-11-17T10:00:00:123Z", "2026-11-17X10:00:00Z",
    "-026-11-17T10:00:00Z", "2026-1a-17T10:00:00Z", "٢٠٢٦-11-17T10:00:00Z", "2026-11-17T10:00:0\u0661Z", "x" * 20, "x" * 24, "",
]  # fmt: skip


@pytest.mark.parametrize(("text", "micros"), VALID.items(), ids=VALID)
def test_a_valid_text_gives_its_microseconds_alone_and_in_a_column(text, micros):
    assert parse_timestamp(text) == micros
    parsed, is_valid = parse_timestamps(pa.array([text]))
    assert (parsed.tolist(), is_valid.tolist()) == ([micros], [True])


@pytest.mark.parametrize("text", INVALID)
def test_second_60_and_other_invalid_texts_give_none_alone_and_in_a_column(text):
    assert parse_timestamp(text) is None
    _, is_valid = parse_timestamps(pa.array([text]))
    assert is_valid.tolist() == [False]


def test_a_column_of_all_forms_keeps_every_row_at_its_place():
    texts = [text for pair in zip(VALID, INVALID, strict=False) for text in (*pair, None)]
    column = pa.array(["2026-11-17T10:00:00Z", *texts, ""], pa.string()).slice(1, len(texts))
    micros, is_valid = parse_timestamps(column)
    assert is_valid.tolist() == [text in VALID for text in texts]
    assert micros[is_valid].tolist() == [VALID[text] for text in texts if text in VALID]


def test_the_common_forms_are_parsed_by_the_column(monkeypatch):
    monkeypatch.setattr("soundlake.contract.timestamps.parse_timestamp", lambda _: pytest.fail("parsed one by one"))
    texts = ["2024-02-29T23:59:59Z", "2024-02-29T23:59:59.123Z", "2024-02-29T23:59:59.123456Z", "2024-02-29T23:59:59.123456789Z"]
    micros, is_valid = parse_timestamps(pa.array([*texts, None]))
    assert is_valid.tolist() == [True] * 4 + [False]
    assert (micros - micros[0]).tolist()[:4] == [0, 123_000, 123_456, 123_456]


@pytest.mark.parametrize("texts", [[], [None], [None, None]], ids=["empty", "a null", "nulls"])
def test_a_column_without_texts_has_no_valid_row(texts):
    micros, is_valid = parse_timestamps(pa.array(texts, pa.string()))
    assert (len(micros), is_valid.tolist()) == (len(texts), [False] * len(texts))


def format_all(*moments: datetime | int | None) -> list[str | None]:
    return format_timestamps(pa.array(moments, pa.timestamp("us", "UTC"))).to_pylist()


def test_timestamps_have_three_decimals_or_six_if_one_needs_them():
    moment = datetime(2024, 2, 29, 23, 59, 8, 7_000, UTC)
    assert format_all(moment, None) == ["2024-02-29T23:59:08.007Z", None]
    assert format_all(moment, moment.replace(microsecond=7_089)) == ["2024-02-29T23:59:08.007000Z", "2024-02-29T23:59:08.007089Z"]
    assert format_all() == []
    assert format_all(None) == [None]


def test_the_first_and_the_last_year_are_formatted_and_nothing_beyond():
    assert format_all(FIRST_MICROS, LAST_MICROS) == ["0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"]
    assert format_all(-1) == ["1969-12-31T23:59:59.999999Z"]
    for beyond in (FIRST_MICROS - 1, LAST_MICROS + 1):
        with pytest.raises(ValueError, match="outside the years 1 to 9999"):
            format_timestamps(pa.array([beyond]).cast(pa.timestamp("us", "UTC")))


def test_what_is_formatted_parses_to_itself_on_days_far_apart_and_close_together():
    for step in (86_400 * SECOND * 9_973, 3_599 * SECOND + 999_001):
        micros = [FIRST_MICROS + step * number for number in range(300)]
        texts = format_timestamps(pa.array(micros).cast(pa.timestamp("us", "UTC")))
        assert parse_timestamps(texts)[0].tolist() == micros
