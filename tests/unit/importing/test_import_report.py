"""The report of an import: sums over listeners, times, and its JSON form."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from soundlake.contract import EVENT_SCHEMA
from soundlake.history import BrokenFile, LeftOut
from soundlake.importing import ImportReport, RowCounts

FIRST, MIDDLE, LAST = (datetime(2024, 2, day, 23, 59, 59, 500_000, UTC) for day in (1, 15, 29))


def make_events(*plays):
    """A table of events from pairs of time and milliseconds."""
    columns = {"played_at": [at for at, _ in plays], "ms_played": [ms for _, ms in plays]}
    return pa.table([pa.array(columns.get(field.name, [None] * len(plays)), field.type) for field in EVENT_SCHEMA], schema=EVENT_SCHEMA)


def test_stored_and_duplicate_events_are_counted_by_the_mask():
    counts = RowCounts()
    counts.count_events(make_events((MIDDLE, 10), (LAST, 20), (FIRST, None)), pa.array([True, False, True]))
    assert (counts.rows_stored, counts.rows_duplicate, counts.ms_played) == (2, 1, 10)
    assert (counts.first_played_at, counts.last_played_at) == (FIRST, LAST)


def test_an_empty_table_changes_nothing():
    counts = RowCounts()
    counts.count_events(make_events(), pa.array([], pa.bool_()))
    assert counts == RowCounts()
    counts.count_events(make_events((MIDDLE, 1)), pa.array([True]))
    counts.count_events(make_events(), pa.array([], pa.bool_()))
    assert (counts.rows_stored, counts.first_played_at, counts.last_played_at) == (1, MIDDLE, MIDDLE)


def test_the_total_is_the_sum_of_all_listeners():
    report = ImportReport()
    report.by_source["spotify_export", "anna"] = RowCounts(3, 2, Counter(bad_ts=1), 50, FIRST, MIDDLE)
    report.by_source["spotify_export", "ben"] = RowCounts(4, 1, Counter(bad_ts=2, names_nothing=1), 7, MIDDLE, LAST)
    report.by_source["spotify_export", "carla"] = RowCounts()
    assert report.total == RowCounts(7, 3, Counter(bad_ts=3, names_nothing=1), 57, FIRST, LAST)
    assert (report.total.rows_read, report.total.rows_refused) == (14, 4)


@pytest.mark.parametrize(
    ("names", "listener", "listed"), [([""], None, 0), (["anna"], "anna", 0), (["anna", "ben"], None, 2), ([], None, 0)]
)
def test_listeners_are_listed_if_there_are_several(names, listener, listed):
    report = ImportReport({("events", name): RowCounts(1) for name in names})
    found = report.as_json()
    assert (found["listener"], len(found["listeners"]), found["rows_read"]) == (listener, listed, len(names))
    assert [one["listener"] for one in found["listeners"]] == (names if listed else [])


def test_the_json_form_has_every_count_and_times_with_z():
    west = timezone(timedelta(hours=-5))
    counts = RowCounts(1, 2, Counter(b=1, a=3), 60_000, FIRST, datetime(2024, 2, 29, 19, tzinfo=west))
    assert counts.as_json() == {
        "rows_read": 7, "rows_stored": 1, "rows_duplicate": 2, "rows_refused": 4,
        "refused_by_reason": {"a": 3, "b": 1}, "ms_played": 60_000,
        "first_played_at": "2024-02-01T23:59:59.500000Z", "last_played_at": "2024-03-01T00:00:00Z",
    }  # fmt: skip
    assert list(counts.as_json()["refused_by_reason"]) == ["a", "b"]
    assert RowCounts().as_json()["first_played_at"] is None


def test_a_broken_file_sets_the_exit_code_and_is_listed_with_its_position():
    report = ImportReport({("events", ""): RowCounts()}, files_read=["a"], files_left_out=[LeftOut("b", "a PDF document")])
    assert report.exit_code == 0
    report.files_broken.append(BrokenFile("c.json", "ends in the middle", line=3, column=1, byte=16))
    assert report.exit_code == 3
    found = report.as_json()
    assert (found["source"], found["files_read"], found["files_left_out"]) == ("events", ["a"], ["b"])
    assert found["left_out_because"] == {"b": "a PDF document"}
    assert found["files_broken"] == [{"file": "c.json", "problem": "ends in the middle", "line": 3, "column": 1, "byte": 16}]


def test_the_report_of_another_import_is_added():
    report = ImportReport({("lastfm", "anna"): RowCounts(1)}, ["a"], notes=["one"])
    report.add(ImportReport({("lastfm", "anna"): RowCounts(2), ("events", ""): RowCounts(4)}, ["b"], notes=["two"]))
    found = report.as_json()
    assert (found["source"], found["listener"], found["rows_stored"], found["files_read"]) == (None, "anna", 7, ["a", "b"])
    assert [(one["source"], one["rows_stored"]) for one in found["sources"]] == [("lastfm", 3), ("events", 4)]
    assert found["notes"] == ["one", "two"]
