"""What the charts draw: complete and incomplete buckets, hours without data, and axes over the whole window."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from soundlake.dashboard.charts import draw_amounts, draw_device_mix, draw_rate, draw_week
from soundlake.dashboard.filters import Window
from soundlake.dashboard.query_results import Bucket, DeviceBucket, HourOfWeek
from soundlake.dashboard.theme import LIGHT

FIRST = date(2024, 2, 27)


def make_days(count: int, skip_rate: float | None = 0.5) -> list[Bucket]:
    days = [FIRST + timedelta(days=number) for number in range(count)]
    return [Bucket(day, day, 10 + number, 0, 1, 1, 1, skip_rate) for number, day in enumerate(days)]


def draw_plays(buckets: list[Bucket]) -> dict[str, Any]:
    chart = draw_amounts(
        buckets, lambda bucket: bucket.plays, "Plays", lambda bucket: f"{bucket.plays}", LIGHT, is_complete=lambda it: it != buckets[-1]
    )
    return chart.to_dict()


def read_ticks(chart: dict[str, Any]) -> list[dict[str, Any]]:
    return chart["encoding"]["x"]["axis"]["values"]


def read_rows(chart: dict[str, Any]) -> list[dict[str, Any]]:
    return chart["datasets"][chart["data"]["name"]]


def test_bars_start_at_zero_and_the_incomplete_one_is_pale_and_says_so():
    chart = draw_plays(make_days(4))
    assert chart["mark"]["type"] == "rect"
    assert [(row["base"], row["value"], row["opacity"] == 1) for row in read_rows(chart)] == [
        (0, 10, True), (0, 11, True), (0, 12, True), (0, 13, False),
    ]  # fmt: skip
    assert [row["days"] for row in read_rows(chart)][-2:] == ["29 Feb 2024", "1 Mar 2024 (incomplete)"]


@pytest.mark.parametrize("count", [1, 2, 8])
def test_the_axis_of_few_days_names_each_once_in_its_middle(count):
    chart = draw_plays(make_days(count))
    noons = [datetime(*(tick[part] for part in ("year", "month", "date", "hours")), tzinfo=UTC) for tick in read_ticks(chart)]
    assert [noon.timestamp() * 1000 for noon in noons] == [row["middle"] for row in read_rows(chart)]


def test_the_axis_of_many_days_names_some():
    axis = draw_plays(make_days(9))["encoding"]["x"]["axis"]
    assert "values" not in axis
    assert axis["tickCount"] == 8


def test_an_area_ends_with_the_last_complete_bucket():
    chart = draw_plays(make_days(250))
    assert chart["mark"]["type"] == "area"
    assert len(read_rows(chart)) == 249


def test_a_bucket_without_a_rate_is_a_gap_of_the_line():
    chart = draw_rate([*make_days(1), *make_days(1, skip_rate=None)], lambda bucket: bucket.skip_rate, "Skip rate", LIGHT).to_dict()
    assert [row["value"] for row in read_rows(chart)] == [0.5, None]


def test_the_week_shows_means_and_leaves_hours_without_data_empty():
    hours = [HourOfWeek(1, 0, plays=9, occurrences=3), HourOfWeek(1, 1, plays=8, occurrences=2), HourOfWeek(7, 23, plays=0, occurrences=0)]
    rows = read_rows(draw_week(hours, LIGHT).to_dict())
    assert [(row["weekday"], row["hour"], row["plays"], row["shown"]) for row in rows] == [
        ("Mon", "00", 3.0, "3.0"), ("Mon", "01", 4.0, "4.0"), ("Sun", "23", None, "–"),
    ]  # fmt: skip


def test_the_device_mix_covers_the_whole_window_and_each_bucket_adds_up_to_one():
    days = [DeviceBucket(FIRST, FIRST, "mobile", 3), DeviceBucket(FIRST, FIRST, "tv", 1)]
    window = Window(datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
    rows = read_rows(draw_device_mix(days, window, {"tv": "#111111", "mobile": "#222222"}).to_dict())
    assert {row["begin"] for row in rows if "device" not in row} == {window.since.timestamp() * 1000, window.until.timestamp() * 1000}
    assert [(row["device"], row["low"], row["high"]) for row in rows if "device" in row] == [("TV", 0, 0.25), ("Mobile", 0.25, 1)]
