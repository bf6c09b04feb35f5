"""Files of events on the disk: how they are recognised, read and refused, form by form."""

import bz2
import codecs
import csv
import gzip
import hashlib
import json
import tracemalloc
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from soundlake.errors import DataError, UsageError
from soundlake.history import MAX_EVENT_BYTES, BrokenFile, Notes, describe_notes, find_event_files, read_event_records
from soundlake.history.event_files.json_form import normalize_records

HEADER = "event_id,event_type,played_at,track_name"
ID = str(UUID(int=1))


def make_row(number=1, **changes):
    return {"event_id": str(UUID(int=number)), "event_type": "play", "played_at": "2024-03-01T10:00:00.000Z"} | changes


@pytest.fixture
def read(tmp_path):
    """Write a file and read it: its records, its notes, and the problem of the file."""

    def read_file(name, data):
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        (file,) = find_event_files([tmp_path / name]).files
        notes, records, problem = Notes(), [], None
        try:
            for batch in read_event_records(file, notes, lambda _: None):
                records += batch
        except BrokenFile as broken:
            problem = broken.problem
        return records, notes, problem

    return read_file


def parse(records):
    return [json.loads(record) for record in records]


def reasons(records):
    return [record["_refused"]["reason"] for record in parse(records) if "_refused" in record]


def titles(records):
    return [record.get("track_name") for record in parse(records) if "_refused" not in record]


def make_csv(*lines, header=HEADER, end="\n"):
    return end.join([header, *lines]) + end


def line(title, number=1):
    return f"{UUID(int=number)},play,2024-03-01T10:00:00Z,{title}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (make_csv(line("a"), line("b")), ["a", "b"]),
        (make_csv(line("a"), line("b"), end="\r\n"), ["a", "b"]),
        (make_csv(line("a"), line("b"), end="\r"), ["a", "b"]),
        (make_csv(line('"one\ntwo"'), line("b"), end="\r"), ["one\ntwo", "b"]),
        (make_csv(line("a"), line("b"), end="\r\r\n"), ["a", "b"]),
        (make_csv(line("a"), "", "  ", line("b")).rstrip("\n"), ["a", "b"]),
        (make_csv(line('"a, b"'), line('"say ""hi"""'), line('5" vinyl')), ["a, b", 'say "hi"', '5" vinyl']),
        (make_csv(line('"one\n\ntwo"'), line("b")), ["one\n\ntwo", "b"]),
        (make_csv(line("a").replace(",", ";"), header=HEADER.replace(",", ";")), ["a"]),
        (make_csv(line("a, b").replace(",", "\t", 3), header=HEADER.replace(",", "\t")), ["a, b"]),
        ("sep=;\r\n" + make_csv(line("a").replace(",", ";"), header=HEADER.replace(",", ";")), ["a"]),
        (make_csv(line('"say \\"hi\\""'), line("b")), ['say "hi"', "b"]),
        (make_csv(line('"a \\", b"'), line("b")), ['a ", b', "b"]),
        (make_csv(line("NULL"), line("")), ["NULL", None]),
        (make_csv(header=HEADER), []),
    ],
    ids=["lf", "crlf", "cr", "cr, a line feed in quotes", "cr cr lf", "blank lines", "quotes",
         "line breaks in quotes", "semicolon", "tab", "sep line", "backslash quotes",
         "backslash quote before the delimiter", "words for null in a text", "header alone"],
)  # fmt: skip
def test_csv_in_the_ways_that_tools_write_it(read, text, expected):
    records, _, problem = read("e.csv", text)
    assert (titles(records), problem) == (expected, None)


@pytest.mark.parametrize(
    ("text", "expected", "refused"),
    [
        (make_csv(line("a"), ID, line("b")), ["a", "b"], ["ragged_row"]),
        (make_csv(line("a,more"), line("b")), ["b"], ["ragged_row"]),
        (make_csv(line('"a"x'), line("b")), ["b"], ["malformed_row"]),
        (make_csv(line('"never closed'), line("b"), line("c")), ["b", "c"], ["malformed_row"]),
        (make_csv(line("a"), line('"never closed')), ["a"], ["malformed_row"]),
        (make_csv(line('"never closed'), *[line("b")] * 3_000), ["b"] * 3_000, ["malformed_row"]),
        (make_csv(line('"open'), line("b"), line('close" x'), line("c")), ["b", 'close" x', "c"], ["malformed_row"]),
        (make_csv(line('"two\nlines",more'), line("b")), ["b"], ["ragged_row"]),
    ],
    ids=["too few cells", "too many cells", "text after a quote", "quote not closed", "last quote not closed",
         "quote not closed, far from the end", "quote closed rows later", "too many cells over two lines"],
)  # fmt: skip
def test_a_broken_row_of_csv_costs_itself_alone(read, text, expected, refused):
    records, _, problem = read("e.csv", text)
    assert (titles(records), reasons(records), problem) == (expected, refused, None)


def test_a_line_of_csv_above_the_limit_is_refused_with_its_hash(read):
    long = line("x" * 3_000_000)
    records, _, problem = read("e.csv", make_csv(line("a"), long, line("b")))
    assert (sorted(titles(records)), reasons(records), problem) == (["a", "b"], ["too_large"], None)
    (refused,) = [record["_refused"] for record in parse(records) if "_refused" in record]
    assert json.loads(refused["row"]) == {"bytes": len(long), "sha256": hashlib.sha256(long.encode()).hexdigest()}


@pytest.mark.parametrize("bom", [codecs.BOM_UTF8, b""])
def test_utf8_with_and_without_a_mark(read, bom):
    for name, text in (("e.csv", make_csv(line("Öde"))), ("e.ndjson", json.dumps(make_row(track_name="Öde"))),
                       ("e.json", json.dumps([make_row(track_name="Öde")]))):  # fmt: skip
        assert titles(read(name, bom + text.encode())[0]) == ["Öde"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_recognised(read, encoding):
    assert titles(read("e.csv", make_csv(line("Öde")).encode(encoding))[0]) == ["Öde"]
    assert titles(read("e.ndjson", json.dumps(make_row(track_name="Öde"), ensure_ascii=False).encode(encoding))[0]) == ["Öde"]


def test_csv_of_excel_in_windows_1252_is_read_and_said(read):
    records, notes, _ = read("e.csv", make_csv(line("Öde"), line("a"), line("€")).encode("cp1252"))
    assert titles(records) == ["Öde", "a", "€"]
    assert describe_notes(notes) == ["lines that are not UTF-8, taken as Windows-1252: 2"]


def test_in_csv_that_is_utf8_another_byte_costs_its_row_and_stays_readable(read):
    records, notes, _ = read("e.csv", make_csv(line("Öde")).encode() + line("b").encode() + b"\xff\n" + line("c").encode())
    assert titles([record for record in records if b"\xff" not in record]) == ["Öde", "c"]
    assert [record.endswith(b'"b\xff"}') for record in records if b"\xff" in record] == [True]
    assert describe_notes(notes) == []


def test_unknown_columns_of_csv_have_the_types_that_json_has(read):
    records, _, _ = read("e.csv", make_csv("0," + line("a,007,1.5,True,x,"), header=f",{HEADER},code,share,is_new,mood,empty"))
    (event,) = parse(records)
    assert {name: event[name] for name in event if name not in HEADER} | {"": event[""]} == {
        "": 0, "code": "007", "share": 1.5, "is_new": True, "mood": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("e.csv", make_csv(line("a,b"), header=HEADER + ",track_name"), "has several columns track_name"),
        ("e.csv", "a,b\n1,2\n", "first line names no field"),
        ("e.csv", make_csv(line("a")).encode() + b"", None),
        ("notes.txt", "Dear diary", "first line names no field"),
        ("e.xlsx", b"PK\x03\x04rest", "Excel workbook"),
        ("e.parquet", b"PAR1 and no more", "cannot be read to its end, only the first 0 rows"),
        ("e.parquet.gz", gzip.compress(b"PAR1 and more", mtime=0), "packed again"),
        ("notes.txt", "Dear diary,\rtoday\n", "first line names no field"),
        ("e.avro", b"Obj\x01rest", "Avro"),
        ("e.csv.gz", gzip.compress(b"", mtime=0), None),
        ("e.json", "[]", None),
        ("e.json", "", None),
        ("e.json", '[{"a": 1}, {"b": ', "ends in the middle"),
        ("e.json", '[{"a": 1}, {"b": 2}', "ends in the middle"),
        ("e.csv.gz", gzip.compress(make_csv(line("a")).encode(), mtime=0)[:-9], "cannot be read to its end"),
        ("e.csv.bz2", bz2.compress(make_csv(line("a")).encode() * 9)[:-9], "cannot be read to its end"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_names_its_problem(read, name, data, problem):
    found = read(name, data)[2]
    assert (found is None) if problem is None else (problem in found)


ROWS = [make_row(1, track_name='a [b] {c} " \\ , \u2028'), make_row(2, tags=[[1], {"x": "]"}]), make_row(3, track_name="\\")]
TEXTS = {
    "lines": "\n".join(map(json.dumps, ROWS)), "lines, crlf": "\r\n".join(map(json.dumps, ROWS)) + "\r\n", "one line": json.dumps(ROWS),
    "element a line": "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n", "pretty": json.dumps(ROWS, indent=2),
    "pretty objects": "\n".join(json.dumps(row, indent=2) for row in ROWS), "arrays": "".join(f"[{json.dumps(row)}]\n" for row in ROWS),
    "arrays in an array": json.dumps([[row] for row in ROWS]), "lines, cr": "\r".join(map(json.dumps, ROWS)),
    "a comma behind the last": json.dumps(ROWS)[:-1] + ",]",
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress], ids=["plain", "gz", "bz2"])
def test_json_in_the_ways_that_tools_write_it(read, text, pack):
    records, _, problem = read("e", pack(text.encode()))
    assert (parse(records), problem) == (ROWS, None)


def test_the_rows_before_the_end_of_a_cut_gz_file_are_read(read):
    lines = "".join(json.dumps(make_row(number, track_name=str(hash(str(number))))) + "\n" for number in range(3_000))
    packed = gzip.compress(lines.encode())
    records, _, problem = read("e.ndjson.gz", packed[: len(packed) // 2])
    assert 1_000 < len(records) < 2_000
    assert parse(records) == [json.loads(each) for each in lines.splitlines()[: len(records)]]
    assert "cannot be read to its end" in problem


@pytest.mark.parametrize(
    ("record", "normal"),
    [
        ('{"duration_ms": "180000", "ms_played": 1.0, "is_shuffle": "true"}', {"duration_ms": 180_000, "ms_played": 1, "is_shuffle": True}),
        ('{"duration_ms": NaN, "mood": NaN, "level": Infinity}', {"level": "Infinity"}),
        ('{"duration_ms": Infinity}', {"duration_ms": "Infinity"}),
        ('{"duration_ms": 1.5, "played_at": "2024-03-01 10:00"}', {"duration_ms": 1.5, "played_at": "2024-03-01T10:00:00.000Z"}),
        ('{"track_id": 12345, "track_name": "", "mood": "", "level": null}', {"track_id": "12345"}),
        ('{"track_name": {"de": "x"}, "album_name": ["y"]}', {"track_name": {"de": "x"}, "album_name": ["y"]}),
        ('{"extra": {"mood": "calm"}, "level": 1}', {"level": 1, "mood": "calm"}),
        ('{"extra": "{\\"mood\\": 1}"}', {"mood": 1}),
        ('{"extra": "calm"}', {"extra": "calm"}),
        ('{"ms_played": 1},', {"ms_played": 1}),
        ('\ufeff{"ms_played": 1}\r', {"ms_played": 1}),
        ('{"big": 123456789012345678901234567890}', {"big": 123456789012345678901234567890}),
    ],
)  # fmt: skip
def test_a_record_in_normal_form(record, normal):
    (written,) = normalize_records([record.encode()], Notes())
    assert json.loads(written) == normal


@pytest.mark.parametrize(
    "record", [b"nonsense", b"[1]", b'{"a": 1, "a": 2}', b'{"a": NaN, "a": 2}', b'{"a": "\xff"}', b'{"a": ' + b"[" * 200]
)
def test_a_record_that_is_no_object_stays_as_it_is(record):
    assert normalize_records([record], Notes()) == [record]


def test_half_a_surrogate_pair_costs_its_row():
    record = b'{"track_name": "\\ud800", "duration_ms": "1"}'
    assert normalize_records([record], Notes()) == [record]


def write_parquet(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return path.read_bytes()


def test_parquet_of_other_tools(read, tmp_path):
    data = write_parquet(
        tmp_path / "w",
        {
            "event_id": pa.array([UUID(int=1).bytes], pa.uuid()), "event_type": pa.array(["play"]).dictionary_encode(),
            "played_at": pa.array([1_709_287_200_000_000_001], pa.timestamp("ns")), "duration_ms": pa.array([1.0]),
            "tags": pa.array([["a"]]), "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), "raw": pa.array([b"\xff"]),
            "extra": pa.array(['{"mood":"calm"}']),
        },
        use_deprecated_int96_timestamps=True,
    )  # fmt: skip
    records, notes, _ = read("part-0", data)
    assert parse(records) == [make_row(duration_ms=1, tags=["a"], map=[["k", 1]], raw="ff", mood="calm")]
    assert describe_notes(notes) == ["times without a zone, taken as UTC: 1"]


def test_parquet_with_a_column_twice_or_none_of_ours(read, tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, ["event_id", "event_id"]), tmp_path / "w")
    assert "several columns event_id" in read("e.parquet", (tmp_path / "w").read_bytes())[2]
    assert "no column with the name of a field" in read("e.parquet", write_parquet(tmp_path / "w", {"a": [1]}))[2]


def test_a_folder_of_parts(tmp_path):
    names = ("_SUCCESS", ".part-0.crc", "user_id=an%20na/part-1.json", "part-0", "readme.txt", "_temporary/0/part-2")
    for name in (f"out/{name}" for name in names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("Read me" if name.endswith("txt") else json.dumps(make_row()))
    found = find_event_files([tmp_path / "out", tmp_path / "out" / "part-0"])
    assert [file.name for file in found.files] == ["out/part-0", "out/user_id=an%20na/part-1.json"]
    assert [file.name for file in found.left_out] == ["out/readme.txt"]
    (records,) = [batch for batch in read_event_records(found.files[1], Notes(), lambda _: None) if batch]
    assert parse(records) == [make_row(user_id="an na")]


@pytest.mark.parametrize("names", [[], ["readme.txt"], ["_SUCCESS"]])
def test_a_folder_without_events_says_what_it_has(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("Read me")
    with pytest.raises(DataError, match=r"readme\.txt" if "readme.txt" in names else "no file"):
        find_event_files([tmp_path])


def test_a_delta_table_is_not_read_as_its_files(tmp_path):
    (tmp_path / "t/_delta_log").mkdir(parents=True)
    with pytest.raises(UsageError, match="Delta table"):
        find_event_files([tmp_path])


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        find_event_files([tmp_path / "e.parquet"])


@pytest.mark.parametrize("form", ["one line", "lines", "csv", "one large row"])
def test_memory_does_not_grow_with_the_file_nor_with_a_row(tmp_path, form):
    rows = [make_row(number, track_name="x" * 500) for number in range(50_000)]
    path = tmp_path / "e"
    with path.open("w") as file:
        if form == "csv":
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        elif form == "one large row":
            file.write(json.dumps(make_row(track_name="x" * 30_000_000)))
        else:
            file.write(json.dumps(rows) if form == "one line" else "\n".join(map(json.dumps, rows)))
    (found,) = find_event_files([path]).files
    count = len(rows)
    del rows
    tracemalloc.start()
    read = sum(len(batch) for batch in read_event_records(found, Notes(), lambda _: None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read == (1 if form == "one large row" else count)
    assert peak < path.stat().st_size > 28_000_000


def test_a_row_may_have_as_many_bytes_as_the_log_takes(read):
    rest = MAX_EVENT_BYTES - len(json.dumps(make_row(track_name="")))
    records, _, _ = read("e.ndjson", json.dumps(make_row(track_name="x" * rest)) + "\n" + json.dumps(make_row(track_name="x" * (rest + 1))))
    assert [len(record) == MAX_EVENT_BYTES for record in records] == [True, False]
    assert reasons(records) == ["too_large"]
