"""Files that Pandas, DuckDB and Polars write, through the command, the log and the sink into bronze."""

import gzip
import json
from uuid import UUID

import duckdb
import pandas as pd
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from soundlake import wiring
from soundlake.cli.imports import run_import_events, run_import_spotify_export
from soundlake.settings import Settings

app = typer.Typer()
app.command("events")(run_import_events)
app.command("spotify-export")(run_import_spotify_export)  # with one command alone its name would be no argument

FRAME = pd.DataFrame(
    {
        "event_id": [str(UUID(int=number)) for number in range(1, 5)],
        "event_type": "play",
        "user_id": "anna",
        "played_at": pd.to_datetime(["2024-03-01 10:00:00.123456789"] * 4),
        "track_name": ["a", "b, c", 'say "d"', None],
        "duration_ms": [180_000, None, 180_000.5, 7],
        "is_shuffle": [True, False, None, True],
    }
)


def write_with_duckdb(path, form):
    database = duckdb.connect()
    database.register("frame", FRAME)
    database.execute(f"copy (select * replace (event_id::uuid as event_id) from frame) to '{path}' (format {form})")


WRITERS = {
    "pandas csv": FRAME.to_csv,
    "pandas csv of excel": lambda path: FRAME.to_csv(path, sep=";", index=False, encoding="utf-8-sig"),
    "pandas json": lambda path: FRAME.to_json(path, orient="records"),
    "pandas lines": lambda path: FRAME.to_json(path, orient="records", lines=True, date_format="iso", date_unit="us"),
    "pandas parquet": FRAME.to_parquet,
    "pandas parquet with an index": lambda path: FRAME.set_index("event_id").to_parquet(path),
    "duckdb csv": lambda path: write_with_duckdb(path, "csv"),
    "duckdb json": lambda path: write_with_duckdb(path, "json"),
    "duckdb parquet": lambda path: write_with_duckdb(path, "parquet"),
    "polars lines": lambda path: pl.from_pandas(FRAME).write_ndjson(path),
    "polars csv": lambda path: pl.from_pandas(FRAME).write_csv(path),
    "polars parquet": lambda path: pl.from_pandas(FRAME).write_parquet(path),
}


@pytest.fixture
def run(tmp_path):
    """Run the command on paths: exit code and report."""

    def run_command(*paths):
        result = CliRunner().invoke(app, ["events", *map(str, paths), "--json"], env={"SOUNDLAKE_HOME": str(tmp_path / "home")})
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, json.loads(result.stdout)

    return run_command


def test_one_frame_gives_the_same_events_whatever_writes_it(run, tmp_path):
    (tmp_path / "data").mkdir()
    reports = {}
    for number, (name, write) in enumerate(WRITERS.items()):
        path = tmp_path / "data" / f"part-{number}"
        write(path)
        code, report = run(path)
        reports[name] = (code, report["rows_read"], report["rows_stored"], report["rows_duplicate"], report["refused_by_reason"])
    first = reports["pandas csv"]
    assert first == (0, 4, 3, 0, {"wrong_type": 1})
    assert {name: found for name, found in reports.items() if found != (0, 4, 0, 3, {"wrong_type": 1})} == {"pandas csv": first}
    stored = wiring.open_lake(Settings(home=tmp_path / "home")).read("history", ["track_name", "duration_ms", "is_shuffle", "played_at"])
    assert sorted(map(str, stored["track_name"].to_pylist())) == ["None", "a", "b, c"]
    assert {moment.isoformat() for moment in stored["played_at"].to_pylist()} == {"2024-03-01T10:00:00.123456+00:00"}


def test_a_folder_of_parts_with_a_broken_one(run, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    FRAME.to_parquet(folder / "part-0.snappy.parquet")
    (folder / "part-1.json.gz").write_bytes(gzip.compress(FRAME.to_json(orient="records", lines=True).encode())[:-10])
    (folder / "notes.txt").write_text("Read me")
    code, report = run(folder)
    assert (code, report["rows_stored"], report["files_left_out"]) == (3, 3, ["out/notes.txt"])
    assert report["rows_read"] == report["rows_stored"] + report["rows_duplicate"] + report["rows_refused"]
    assert [file["file"] for file in report["files_broken"]] == ["out/part-1.json.gz"]
