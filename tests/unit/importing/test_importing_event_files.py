import gzip
import json
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from importing_fakes import NOW, Deployment

from soundlake.broker.validation import MAX_RECORD_BYTES
from soundlake.contract import HISTORY, decode_records
from soundlake.history import find_event_files
from soundlake.importing import import_events
from soundlake.importing.events_import import find_loose


def make_event(number=0, **changes):
    return {
        "event_id": str(UUID(int=number + 1)), "user_id": "anna", "event_type": "play", "track_id": "t1", "track_name": "Öde",
        "artist_name": "The Lanterns", "album_name": "Nights", "duration_ms": 180_000, "played_at": "2024-02-29T23:59:59Z",
        "device_type": "desktop",
    } | changes  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """Write events to a file of the kind that its name says."""

    def write_file(name, events):
        path = tmp_path / name
        lines = "".join(event if isinstance(event, str) else json.dumps(event) + "\n" for event in events).encode()
        if ".parquet" in name:
            pq.write_table(pa.Table.from_pylist(events), path)
        elif name.endswith(".gz"):
            path.write_bytes(gzip.compress(lines))
        elif name.endswith(".zst"):
            path.write_bytes(pa.compress(lines, codec="zstd", asbytes=True))
        else:
            path.write_bytes(lines)
        return path

    return write_file


def run_import(deployment, *paths):
    report = import_events(find_event_files(paths), deployment.open_publisher(None), now=NOW, on_bytes_read=lambda _: None)
    deployment.drain()
    return report


KINDS = ["e.parquet", "e.ndjson", "e.jsonl", "e.jsonl.gz", "e.ndjson.zst"]


@pytest.mark.parametrize("name", KINDS)
def test_ten_fields_are_enough_and_a_repeat_stores_nothing(write, name):
    deployment = Deployment()
    path = write(name, [make_event(number) for number in range(3)])
    first, second = (run_import(deployment, path).total for _ in range(2))
    assert (first.rows_stored, first.rows_duplicate, first.rows_refused) == (3, 0, 0)
    assert (second.rows_stored, second.rows_duplicate, second.rows_refused) == (0, 3, 0)
    stored = {name: value for name, value in deployment.history[0].items() if value is not None}
    assert stored.pop("played_at").isoformat() == "2024-02-29T23:59:59+00:00"
    assert stored == {name: value for name, value in make_event().items() if name != "played_at"}


@pytest.mark.parametrize("name", KINDS)
def test_an_event_with_a_bad_value_is_refused_and_kept_once(write, name):
    deployment = Deployment()
    bad = [
        make_event(1, event_id=None),
        make_event(2, played_at="soon"),
        make_event(3, duration_ms="long"),
        make_event(4, event_type="sing"),
    ]
    bad = bad if name != "e.parquet" else [event | {"duration_ms": str(event["duration_ms"])} for event in bad]
    good = make_event(5) if name != "e.parquet" else make_event(5, duration_ms=None)
    path = write(name, [*bad, good])
    for _ in range(2):
        report = run_import(deployment, path)
        assert report.total.rows_refused == 4
        assert set(report.total.refused_by_reason) >= {"missing_event_id", "bad_played_at", "wrong_type"}
        assert len(deployment.rejected) == 4
    assert [row["event_id"] for row in deployment.history] == [good["event_id"]]


def test_columns_of_other_types_with_equal_values_are_read(tmp_path):
    rows = pa.table({
        "event_id": [str(UUID(int=1))], "event_type": pa.array(["play"]).dictionary_encode(),
        "user_id": pa.array(["anna"], pa.large_string()), "played_at": pa.array([1_700_000_000_000_000_000], pa.timestamp("ns")),
        "duration_ms": pa.array([180_000.0]),
    })  # fmt: skip
    pq.write_table(rows, tmp_path / "e.parquet")
    deployment = Deployment()
    assert run_import(deployment, tmp_path / "e.parquet").total.rows_stored == 1
    (row,) = deployment.history
    assert (row["duration_ms"], row["played_at"].isoformat()) == (180_000, "2023-11-14T22:13:20+00:00")


def test_unknown_columns_and_fields_are_kept_in_extra(write):
    deployment = Deployment()
    run_import(deployment, write("e.parquet", [make_event(1, mood="calm")]), write("e.ndjson", [make_event(2, mood={"is": "calm"})]))
    assert [json.loads(row["extra"])["mood"] for row in deployment.history] == ["calm", {"is": "calm"}]


def test_blank_lines_are_not_rows(write):
    report = run_import(
        Deployment(),
        write("e.ndjson", ["\ufeff", make_event(1), "\n", "  \r\n", json.dumps(make_event(2)) + "\r\n", json.dumps(make_event(3))]),
    )
    assert (report.total.rows_read, report.total.rows_stored) == (3, 3)


def test_lines_that_are_not_json_are_refused_unchanged(write):
    deployment = Deployment()
    report = run_import(deployment, write("e.ndjson", [make_event(1), "nonsense\n", "[1]\n", "nonsense\n"]))
    assert (report.total.rows_stored, report.total.rows_refused) == (1, 3)
    assert sorted(row["value"] for row in deployment.rejected) == [b"[1]", b"nonsense", b"nonsense"]


def test_a_record_larger_than_the_log_takes_is_refused(write):
    deployment = Deployment()
    report = run_import(deployment, write("e.ndjson", [make_event(1, track_name="x" * 2_000_000), make_event(2)]))
    assert dict(report.total.refused_by_reason) == {"too_large": 1}
    assert [row["reason"] for row in deployment.rejected] == ["too_large"]


@pytest.mark.parametrize(("size", "refused"), [(MAX_RECORD_BYTES - 64 * 1024, {}), (MAX_RECORD_BYTES - 64 * 1024 + 1, {"too_large": 1})])
def test_a_record_leaves_64_kib_for_its_key(write, size, refused):
    rest = size - len(json.dumps(make_event(1, track_name="")))
    report = run_import(Deployment(), write("e.ndjson", [make_event(1, track_name="x" * rest)]))
    assert (report.total.rows_read, dict(report.total.refused_by_reason)) == (1, refused)


def test_of_a_truncated_gz_file_the_events_before_the_end_are_imported_and_the_other_files_too(write):
    deployment = Deployment()
    cut = write("cut.jsonl.gz", [make_event(number, track_name=str(number) * 50) for number in range(2000)])
    cut.write_bytes(cut.read_bytes()[:-2000])
    report = run_import(deployment, cut, write("whole.ndjson", [make_event(9999)]))
    assert [(broken.name, broken.exit_code) for broken in report.files_broken] == [("cut.jsonl.gz", 3)]
    assert report.files_broken[0].byte
    assert report.files_read == ["whole.ndjson"]
    assert report.total.rows_read == report.total.rows_stored == len(deployment.history)


@pytest.mark.parametrize("name", ["cut.parquet", "cut.ndjson.zst"])
def test_a_damaged_file_is_in_the_report(write, name):
    path = write(name, [make_event(number) for number in range(100)])
    path.write_bytes(path.read_bytes()[:-100])
    report = run_import(Deployment(), path)
    assert [broken.name for broken in report.files_broken] == [name]
    assert report.exit_code == 3


@pytest.mark.parametrize(
    ("changes", "is_loose"),
    [
        ({}, False),
        ({"artist_id": ""}, True),
        ({"artist_id": None}, False),
        ({"mood": "x"}, False),
        ({"mood": None}, True),
        ({"mood": ""}, True),
        ({"extra": {"mood": "x"}}, True),
    ],
    ids=str,
)
def test_a_cell_that_other_forms_of_file_cannot_have_is_found(changes, is_loose):
    plain = make_event(1, mood="y")  # both columns have a value
    records = pa.array([json.dumps(event).encode() for event in (plain, make_event(2, **changes))], pa.binary())
    decoded = decode_records(HISTORY, records, pa.array([int(NOW.timestamp() * 1_000)] * 2, pa.int64()))
    assert find_loose(decoded.events).tolist() == [False, is_loose]
