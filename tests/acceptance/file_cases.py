"""Cases of the kind `file`: write the files that a case describes, import them, compare report, rows and plays with what is right."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from tests.acceptance.case_files import FORMS, WrittenCase

from soundlake import wiring
from soundlake.errors import DataError
from soundlake.progress import StepList
from soundlake.settings import Settings

USER = "u"
_PROSE = frozenset({
    "note", "rule", "times_from", "files_not_read", "zero_rows", "single_track", "mbids", "equal_rows", "same_for_every_layout",
    "api_calls_during_import", "error_17", "album_missing", "played_at_precision",
})  # fmt: skip
"""What a case says in words: the writer of its form checks it with files of its own, or another expectation has it."""


def find_file_differences(case: Mapping[str, Any], folder: Path) -> list[str]:
    """What is not as the case expects it."""
    given, expect = case["given"], case["expect"]
    form = next((write for keys, write in FORMS if keys <= given.keys()), None)
    if form is None:
        return [f"not understood: given {', '.join(given)}"]
    found: list[str] = []
    unknown = expect.keys() - _PROSE - _CHECKS.keys()
    found += [f"not understood: expect {name}" for name in sorted(unknown)]
    for written in form(case, folder / "files"):
        home = Settings(home=folder / f"home-{written.name}")
        with _machine_zone(written.machine_zone):
            result = Imported(home, written)
        for name in (written.checks or expect.keys()) & expect.keys() & _CHECKS.keys():
            found += [f"{written.name}: {line}" for line in _CHECKS[name](result, expect[name])]
        found += [f"{written.name}: {line}" for line in written.check(result)]
    return found


class Imported:
    """A finished import: `report` as JSON, the exit code, and the rows of bronze in the order of their files."""

    def __init__(self, settings: Settings, written: WrittenCase) -> None:
        self.settings = settings
        self.written = written
        self.exit_code, self.report = self.run()
        lake = wiring.open_lake(settings)
        self.rows = sorted(lake.read("history").to_pylist(), key=lambda row: (row["_topic"], row["_partition"], row["_offset"]))

    def run(self) -> tuple[int, dict[str, Any]]:
        """Import the files once."""
        with wiring.open_importer(self.settings, StepList()) as importer:
            try:
                report = importer.import_history(self.written.paths, USER)
            except DataError as error:
                return error.exit_code, {"error": str(error)}
        return report.exit_code, report.as_json()

    def build_plays(self) -> list[dict[str, Any]]:
        """Build the warehouse; its plays in the order of their starts."""
        with wiring.open_warehouse(self.settings, wiring.open_lake(self.settings)) as warehouse:
            warehouse.transform()
        snapshot = self.settings.warehouse_address.path / "snapshots" / "current.duckdb"
        with duckdb.connect(str(snapshot), read_only=True) as connection:
            rows = connection.sql("select * from silver.silver_plays order by played_at, track_name").to_arrow_table()
        return rows.to_pylist()


@contextmanager
def _machine_zone(zone: str | None):
    before = os.environ.get("TZ")
    if zone:
        os.environ["TZ"] = zone
        time.tzset()
    try:
        yield
    finally:
        if zone:
            os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
            time.tzset()


def _check_report(result: Imported, expected: Mapping[str, Any]) -> list[str]:
    names = {"rows_read": "rows_read", "stored": "rows_stored", "duplicate": "rows_duplicate"}
    pairs = [(name, result.report.get(names[name]), expected[name]) for name in names if name in expected]
    found = [f"{name} {seen}, right is {right}" for name, seen, right in pairs if seen != right]
    refused = expected.get("refused") or {}
    seen = result.report.get("refused_by_reason" if isinstance(refused, dict) else "rows_refused")
    return found + ([] if seen == refused else [f"refused {seen}, right is {refused}"])


def _compare(seen: object, right: object) -> list[str]:
    return [] if seen == right else [f"{seen}, right is {right}"]


def _check_stored(result: Imported, right: object) -> list[str]:
    """A number of rows, a truth for each row, or a sentence."""
    if isinstance(right, int):
        return _compare(result.report.get("rows_stored"), right)
    if isinstance(right, list):
        stored = Counter(row["source_ref"] for row in result.rows)
        return _compare([stored[ref] > 0 for ref in result.written.refs], right)
    names = [row["artist_name"] for row in result.rows if row["source"] == "listenbrainz"]
    return _compare(sorted(names), sorted(result.written.names))


def _check_left_out(result: Imported, _right: object) -> list[str]:
    return [
        f"{name} is not named" for name in result.written.left_out if not any(one.endswith(name) for one in result.report["files_left_out"])
    ]


_CHECKS = {
    "report": _check_report,
    "csv_report": _check_report,
    "json_report": _check_report,
    "stored": _check_stored,
    "duplicates": lambda result, right: _compare(result.report["rows_duplicate"], right),
    "now_playing_rows": lambda result, right: _compare(result.report["refused_by_reason"].get("now_playing"), right),
    "second_import": lambda result, right: _compare(result.run()[1]["rows_stored"], right["stored"]),
    "duration_ms": lambda result, right: _compare([row["duration_ms"] for row in result.rows], right),
    "ms_played": lambda result, right: _compare([row["ms_played"] for row in result.rows], right),
    "utc": lambda result, right: _compare(sorted(row["played_at"].strftime("%Y-%m-%dT%H:%M:%SZ") for row in result.rows), sorted(right)),
    "is_listen": lambda result, right: _compare([play["is_listen"] for play in result.build_plays()], right),
    "likes": _check_left_out,
    "dislikes": _check_left_out,
    "decoded_for_matching": lambda result, right: _compare(len(result.build_plays()), len(right)),
    "match_keys_equal": lambda _result, _right: [],
}
"""What is compared for each expectation. Likes are left out and named; equal match keys are those of decoded_for_matching."""
