"""The same rows as NDJSON, JSON array, CSV and Parquet: the same events are stored, the same rows are refused for the same reasons."""

import csv
import json
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from importing_fakes import NOW, Deployment

from soundlake.contract import HISTORY, decode_record, decode_records
from soundlake.history import find_event_files
from soundlake.importing import import_events
from soundlake.lake import Forgotten

REQUIRED = {"event_type": "play", "played_at": "2024-03-01T10:00:00Z", "user_id": "anna"}
NOW_MS = int(NOW.timestamp() * 1000)
FORMS = ["ndjson", "array", "pretty", "csv", "csv with semicolons", "parquet"]

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=6), st.sampled_from(["007", "NaN", "1.0"])
)
moments = st.datetimes(datetime(1999, 12, 30), datetime(2025, 6, 3))  # noqa: DTZ001  # without a zone on purpose
COLUMNS = {  # by field: cells of one type each, as a column of Parquet has them
    "event_type": [st.sampled_from(["play", "skip", " play", "sing", ""])],
    "track_id": [texts, st.integers(0, 10**12), st.floats(0, 1e6, allow_nan=False).map(lambda number: round(number, 2))],
    "track_name": [texts],
    "duration_ms": [
        st.integers(-(2**63), 2**63 - 1),
        st.one_of(st.integers(0, 10**6).map(float), st.floats(-1e6, 1e6, allow_nan=False), st.just(float("nan"))),
        st.sampled_from(["180000", "180000.0", "1e3", "long", "", " 5", "nan", "9223372036854775808", "true"]),
    ],
    "is_shuffle": [
        st.booleans(), st.sampled_from([0, 1, 2]), st.sampled_from([0.0, 1.0, float("nan")]), st.sampled_from(["True", "f", "x", ""])
    ],
    "played_at": [
        moments,
        moments.map(lambda moment: moment.replace(tzinfo=UTC)),
        moments.map(lambda moment: moment.replace(tzinfo=timezone(timedelta(hours=5, minutes=30)))),
        st.integers(946_684_799, 1_749_000_000),
        st.integers(946_684_799_999, 1_749_000_000_000),
        st.sampled_from(["2024-03-01T10:00:00Z", "2024-03-01 10:00:00.123456789", "2024-03-01 10:00", "2024-02-30T10:00:00Z"]),
        st.sampled_from(["soon", "2024-03-01", ""]),
    ],
    "mood": [st.sampled_from(["calm", "", "two words"]), st.integers(-5, 5), st.booleans(), st.sampled_from([1.5, float("nan")])],
}  # fmt: skip


@st.composite
def tables(draw):
    """Rows of the same columns; each column has one type, and cells may be missing."""
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), unique=True))
    cells = {name: draw(st.sampled_from(COLUMNS[name])) for name in names}
    count = draw(st.integers(1, 5))
    return [
        {"event_id": str(UUID(int=number + 1)), **REQUIRED, **{name: draw(st.one_of(st.none(), cells[name])) for name in names}}
        for number in range(count)
    ]


def write(folder, form, rows):
    path = folder / form.replace(" ", "_")
    plain = [{name: str(value) if isinstance(value, datetime) else value for name, value in row.items()} for row in rows]
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form.startswith("csv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0], delimiter=";" if form.endswith("semicolons") else ",")
            writer.writeheader()
            writer.writerows(plain)
    elif form == "ndjson":
        path.write_text("\n".join(map(json.dumps, plain)))
    else:
        path.write_text(json.dumps(plain, indent=2 if form == "pretty" else None))
    return path


def run_import(*paths):
    deployment = Deployment()
    report = import_events(find_event_files(paths), deployment.open_publisher(None), now=NOW, on_bytes_read=lambda _: None)
    deployment.drain()
    return report, deployment


class Collector:
    """A publisher that keeps what it is given; refused rows as the sink's decoder sees them."""

    forgotten = Forgotten()

    def __init__(self):
        self.stored, self.refused = {}, []

    def publish_records(self, events, values):
        decoded = decode_records(HISTORY, pa.array(values, pa.binary()), pa.array([NOW_MS] * len(values), pa.int64()))
        assert decoded.events == events
        for row in events.to_pylist():
            self.stored[row.pop("event_id")] = row | {"extra": row["extra"] and json.loads(row["extra"])}
        return np.ones(len(events), bool)

    def publish_refused(self, keys, values):
        rejections = [decode_record(HISTORY, value, NOW_MS) for value in values]
        self.refused += [(rejection.event_id, rejection.reason) for rejection in rejections]


def find_outcome(path):
    """The stored events, the ids and reasons of the refused rows, and the notes of the report."""
    found = Collector()
    report = import_events(find_event_files([path]), found, now=NOW, on_bytes_read=lambda _: None)
    assert Counter(reason for _, reason in found.refused) == report.total.refused_by_reason
    assert len(found.stored) == report.total.rows_stored == report.total.rows_read - len(found.refused)
    return found.stored, sorted(found.refused), report.notes


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables())
def test_the_same_rows_give_the_same_events_and_refusals_in_every_form(tmp_path, rows):
    outcomes = {form: find_outcome(write(tmp_path, form, rows)) for form in FORMS}
    for form, (stored, refused, notes) in outcomes.items():
        assert len(stored) + len(refused) == len(rows), form
        assert (form, stored, refused, notes) == (form, *outcomes["ndjson"])


def make_event(number, **changes):
    return {"event_id": str(UUID(int=number)), **REQUIRED, **changes}


@pytest.mark.parametrize("form", FORMS)
def test_one_bad_cell_costs_its_row(tmp_path, form):
    rows = [
        make_event(number, duration_ms=float("nan") if number == 1 else 180_000.5 if number == 2 else 180_000.0) for number in range(1, 101)
    ]
    stored, refused, _ = find_outcome(write(tmp_path, form, rows))
    assert refused == [(str(UUID(int=2)), "wrong_type")]
    assert Counter(row["duration_ms"] for row in stored.values()) == {180_000: 98, None: 1}


def test_a_refused_row_shows_the_cell_as_it_was_and_the_others_in_normal_form(tmp_path):
    _, deployment = run_import(write(tmp_path, "ndjson", [make_event(1, duration_ms=1.5, played_at="2024-03-01 10:00:00")]))
    (rejected,) = deployment.rejected
    assert json.loads(rejected["value"]) == make_event(1, duration_ms=1.5, played_at="2024-03-01T10:00:00.000Z")
    assert rejected["detail"] == "duration_ms (integer): 1.5"


def test_a_refused_row_that_no_conversion_helps_stays_as_it_was_written(tmp_path):
    (tmp_path / "e.ndjson").write_text('{"event_id":  "x"}\n')
    assert [row["value"] for row in run_import(tmp_path / "e.ndjson")[1].rejected] == [b'{"event_id":  "x"}']


def test_the_report_says_which_times_had_no_zone(tmp_path):
    rows = [make_event(1, played_at="2024-03-01 10:00:00"), make_event(2, played_at=1_709_287_200_000), make_event(3)]
    report, _ = run_import(write(tmp_path, "ndjson", rows))
    assert [note.split(",")[0] for note in report.notes] == ["times as numbers", "times without a zone"]
    assert [note.rpartition(" ")[2] for note in report.notes] == ["1", "1"]


def test_a_broken_file_is_named_and_the_others_are_imported(tmp_path):
    (tmp_path / "e.xlsx").write_bytes(b"PK\x03\x04")
    report, _ = run_import(tmp_path / "e.xlsx", write(tmp_path, "csv", [make_event(1)]))
    assert (report.exit_code, [file.name for file in report.files_broken], report.total.rows_stored) == (3, ["e.xlsx"], 1)


def test_a_second_import_in_another_form_stores_nothing(tmp_path):
    rows = [make_event(number, duration_ms=5) for number in range(1, 4)]
    report, deployment = run_import(*(write(tmp_path, form, rows) for form in FORMS))
    assert (report.total.rows_stored, report.total.rows_duplicate) == (3, 15)
    assert len(deployment.history) == 3


def test_the_limit_of_a_record_leaves_room_for_its_key():
    from soundlake.broker.validation import MAX_RECORD_BYTES
    from soundlake.history import MAX_EVENT_BYTES

    assert MAX_EVENT_BYTES == MAX_RECORD_BYTES - 64 * 1024
