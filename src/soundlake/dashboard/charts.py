"""The charts of the pages: typed answers to Altair charts; fonts and grids come from Streamlit's theme. All times are UTC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import altair as alt

from soundlake.cache.live_metrics import LiveWindow
from soundlake.dashboard.filters import Window
from soundlake.dashboard.formatting import format_days, format_device, format_mean, format_share
from soundlake.dashboard.query_results import Bucket, DeviceBucket, HourOfWeek
from soundlake.dashboard.theme import Palette

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_HEIGHT = 280
_MOST_BARS = 200
_MOST_DAYS_NAMED = 300
_LABELS = 8
_GAP = 0.12
_INCOMPLETE_OPACITY = 0.35
_LEAST_PLAYS = 5  # the axis of a quiet minute goes to at least 5

Row = dict[str, object]


def draw_amounts(
    buckets: Sequence[Bucket],
    measure: Callable[[Bucket], float],
    title: str,
    show: Callable[[Bucket], str],
    palette: Palette,
    *,
    is_complete: Callable[[Bucket], bool],
) -> alt.Chart:
    """One measure over time, from zero: bars as wide as their days, or an area where a bar would be narrower than two pixels.

    An incomplete bucket is a pale bar, and not part of an area.
    """
    rows = [_locate(bucket) | _mark_complete(bucket, is_complete) | {"value": measure(bucket), "shown": show(bucket)} for bucket in buckets]
    channels = [_scale_time("begin", buckets), alt.Y("value:Q", title=title, axis=alt.Axis(tickCount=5, tickMinStep=1))]
    if len(rows) > _MOST_BARS:
        chart = _open_chart([row for row in rows if row["opacity"] == 1])
        area = chart.mark_area(color=palette.accent, fillOpacity=0.35, line={"color": palette.accent, "strokeWidth": 1.2})
        return _encode(area, channels, _list_tooltip(title))
    bars = [*channels, alt.X2("end"), alt.Y2("base"), alt.Opacity("opacity:Q", scale=None, legend=None)]
    return _encode(_open_chart([row | {"base": 0} for row in rows]).mark_rect(color=palette.accent), bars, _list_tooltip(title))


def draw_rate(buckets: Sequence[Bucket], measure: Callable[[Bucket], float | None], title: str, palette: Palette) -> alt.Chart:
    """A rate over time as a line with points, on an axis from zero; a bucket without a rate is a gap."""
    colour = palette.series[1]
    rows = [_locate(bucket) | {"value": measure(bucket), "shown": format_share(measure(bucket))} for bucket in buckets]
    line = _open_chart(rows).mark_line(color=colour, strokeWidth=2, point={"size": 22, "color": colour, "filled": True})
    rate = alt.Y("value:Q", title=title, axis=alt.Axis(format=".0%", tickCount=5), scale=alt.Scale(zero=True))
    return _encode(line, [_scale_time("middle", buckets), rate], _list_tooltip(title))


def draw_week(hours: Sequence[HourOfWeek], palette: Palette) -> alt.Chart:
    """Mean plays by hour and weekday: the more, the stronger the colour; an hour without data stays empty."""
    rows: list[Row] = [
        {
            "weekday": WEEKDAYS[hour.weekday - 1],
            "hour": f"{hour.hour:02}",
            "plays": hour.mean_plays,
            "shown": format_mean(hour.mean_plays),
            "weeks": hour.occurrences,
        }
        for hour in hours
    ]
    return _encode(
        _open_chart(rows).mark_rect(cornerRadius=3, stroke=palette.background, strokeWidth=2),
        [
            alt.X("hour:O", title="Hour of the day (UTC)", axis=alt.Axis(labelAngle=0, labelOverlap=True, ticks=False, domain=False)),
            alt.Y("weekday:O", title=None, sort=list(WEEKDAYS), axis=alt.Axis(ticks=False, domain=False)),
            alt.Color("plays:Q", title="Plays an hour", scale=alt.Scale(range=list(palette.intensities), zero=True)),
        ],
        {"Weekday": "weekday", "Hour (UTC)": "hour", "Plays on average": "shown", "Of so many such hours": "weeks"},
    )


def draw_live(windows: Sequence[LiveWindow], palette: Palette) -> alt.Chart:
    """Plays of short windows as bars; the last window is still open."""
    rows: list[Row] = [
        {
            "begin": window.begins_at.timestamp() * 1000,
            "end": (window.begins_at.timestamp() + window.seconds * (1 - _GAP)) * 1000,
            "plays": window.plays,
            "base": 0,
            "when": f"{window.begins_at:%H:%M:%S} UTC",
            "listeners": window.listeners,
        }
        for window in windows
    ]
    most = max(_LEAST_PLAYS, *(window.plays for window in windows))
    time_axis = alt.Axis(format="%H:%M", grid=False, tickCount=5)
    channels = [
        alt.X("begin:T", title=None, scale=alt.Scale(type="utc"), axis=time_axis),
        alt.X2("end"),
        alt.Y("plays:Q", title="Plays", axis=alt.Axis(tickCount=5, tickMinStep=1, format=",d"), scale=alt.Scale(domain=[0, most])),
        alt.Y2("base"),
    ]
    tooltip = {"When": "when", "Plays": "plays", "Active listeners": "listeners"}
    return _encode(_open_chart(rows).mark_rect(color=palette.accent), channels, tooltip)


def draw_device_mix(buckets: Sequence[DeviceBucket], window: Window, colours: Mapping[str, str]) -> alt.Chart:
    """The share of each device type over the window, stacked in the order of `colours`; the list below it is its legend."""
    titles = {format_device(device): colour for device, colour in colours.items()}
    return _encode(
        _open_chart([*_mark_ends(window), *_stack(buckets, tuple(colours))]).mark_rect(),
        [
            _scale_days("begin", window.first_day, window.last_day),
            alt.X2("end"),
            alt.Y("low:Q", title="Share of plays started", axis=alt.Axis(format=".0%", tickCount=5), scale=alt.Scale(domain=[0, 1])),
            alt.Y2("high"),
            alt.Color("device:N", scale=alt.Scale(domain=list(titles), range=list(titles.values())), legend=None),
        ],
        {"When": "days", "Device": "device", "Share": "shown"},
    )


def _mark_ends(window: Window) -> list[Row]:
    """Two empty rectangles that extend the axis to the whole window, also where its first or last days are without plays.

    A domain given to the scale would do the same, but Vega-Lite parses it once for `x` and once for `x2` and reports a conflict.
    """
    first, last = _count_ms(window.first_day), _count_ms(window.last_day + timedelta(days=1))
    return [{"begin": end, "end": end, "low": 0, "high": 0} for end in (first, last)]


def _stack(buckets: Sequence[DeviceBucket], devices: Sequence[str]) -> list[Row]:
    totals: Counter[date] = Counter()
    for bucket in buckets:
        totals[bucket.first] += bucket.started
    heights: Counter[date] = Counter()
    rows = []
    for bucket in sorted(buckets, key=lambda bucket: devices.index(bucket.device)):
        low, total = heights[bucket.first], totals[bucket.first]
        heights[bucket.first] += bucket.started
        share = {"low": low / total, "high": heights[bucket.first] / total, "shown": format_share(bucket.started / total)}
        rows.append(_locate(bucket) | {"device": format_device(bucket.device)} | share)
    return rows


def _encode(chart: alt.Chart, channels: Sequence[object], tooltip: Mapping[str, str]) -> alt.Chart:
    return chart.encode(*channels, tooltip=[alt.Tooltip(f"{field}:N", title=title) for title, field in tooltip.items()])


def _open_chart(rows: list[Row]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=rows), height=_HEIGHT)


def _locate(bucket: Bucket | DeviceBucket) -> Row:
    """Where a bucket lies on the axis, in milliseconds since 1970, with a small gap on both sides."""
    begin, end = _count_ms(bucket.first), _count_ms(bucket.last + timedelta(days=1))
    gap = (end - begin) * _GAP / 2
    return {"begin": begin + gap, "middle": (begin + end) / 2, "end": end - gap, "days": format_days(bucket.first, bucket.last)}


def _mark_complete(bucket: Bucket, is_complete: Callable[[Bucket], bool]) -> Row:
    if is_complete(bucket):
        return {"opacity": 1}
    return {"opacity": _INCOMPLETE_OPACITY, "days": f"{format_days(bucket.first, bucket.last)} (incomplete)"}


def _count_ms(day: date) -> float:
    return datetime.combine(day, time.min, UTC).timestamp() * 1000


def _scale_time(field: str, buckets: Sequence[Bucket]) -> alt.X:
    return _scale_days(field, buckets[0].first, buckets[-1].last)


def _scale_days(field: str, first: date, last: date) -> alt.X:
    days = (last - first).days + 1
    axis = alt.Axis(
        format="%b %Y" if days > _MOST_DAYS_NAMED else "%-d %b",
        grid=False,
        labelOverlap=True,
        labelFlush=False,
        labelBound=True,
        tickCount=_LABELS,
        values=_list_noons(first, days) if days <= _LABELS else alt.Undefined,
    )
    return alt.X(f"{field}:T", title=None, scale=alt.Scale(type="utc"), axis=axis)


def _list_noons(first: date, days: int) -> list[alt.DateTime]:
    """The middle of each day: on an axis of few days Vega places several ticks in one day, each labelled with its date."""
    named = (first + timedelta(days=number) for number in range(days))
    return [alt.DateTime(year=day.year, month=day.month, date=day.day, hours=12, utc=True) for day in named]


def _list_tooltip(title: str) -> dict[str, str]:
    return {"When": "days", title: "shown"}
