"""The whole import on a deployment in memory: what is drained, published and reported, and what the progress shows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from importing_fakes import NOW, Deployment

from soundlake.errors import DataError, Unavailable, UsageError
from soundlake.importing import Importer, LogDrain
from soundlake.local_files import try_lock


class ProgressLog:
    """A reporter that keeps every call."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def begin(self, step, total=None) -> None:
        self.calls.append(("begin", step, total))

    def advance(self, done, detail="") -> None:
        self.calls.append(("advance", done))

    def end(self, detail="") -> None:
        self.calls.append(("end", detail))


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture
def reporter() -> ProgressLog:
    return ProgressLog()


@pytest.fixture
def importer(deployment, reporter, tmp_path) -> Importer:
    drain = LogDrain(
        deployment.broker,
        deployment.tables,
        lambda stop: deployment.sink.run(stop=stop, until_drained=stop is None),
        tmp_path / "sink.lock",
    )
    publisher = deployment.open_raw_publisher()
    return Importer(deployment.tables, publisher, drain, reporter=reporter, lock=tmp_path / "import.lock", clock=lambda: NOW)


def write_export(path, count=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"ts": f"2024-01-01T00:00:{number:02}Z", "ms_played": 5, "spotify_track_uri": f"spotify:track:{number}"} for number in range(count)
    ]
    path.write_text(json.dumps(rows))
    return path


def write_events(path, *events):
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


EVENT = {"event_id": "00000000-0000-4000-8000-000000000001", "event_type": "play", "played_at": "2024-02-29T00:00:00Z", "user_id": "anna"}


def test_when_an_import_returns_bronze_holds_its_rows(deployment, importer, tmp_path):
    write_export(tmp_path / "data/anna/endsong_0.json")
    write_export(tmp_path / "data/ben/endsong_0.json", 2)
    report = importer.import_history([tmp_path / "data"], None)
    assert (report.total.rows_read, report.total.rows_stored) == (5, 5)
    assert sorted(row["user_id"] for row in deployment.history) == ["anna"] * 3 + ["ben"] * 2


def test_the_progress_counts_the_bytes_of_the_files(importer, reporter, tmp_path):
    sizes = [write_export(tmp_path / f"anna/endsong_{number}.json", number + 1).stat().st_size for number in range(2)]
    importer.import_history([tmp_path / "anna"], None)
    assert reporter.calls == [
        ("begin", "store what the log holds", None), ("end", ""),
        ("begin", "read and publish", sum(sizes)), ("advance", sizes[0]), ("advance", sum(sizes)), ("end", "3 rows"),
        ("begin", "store what was published", None), ("end", ""),
    ]  # fmt: skip


def test_events_that_are_only_in_the_log_are_stored_first_and_count_as_duplicates(deployment, importer, tmp_path):
    deployment.broker.append("user_history", [b"anna"], [json.dumps(EVENT).encode()])
    report = importer.import_events([write_events(tmp_path / "e.ndjson", EVENT)])
    assert (report.total.rows_stored, report.total.rows_duplicate) == (0, 1)
    assert len(deployment.history) == 1


def test_an_event_that_another_topic_holds_is_a_duplicate(deployment, importer, tmp_path):
    deployment.broker.append("user_plays", [b"anna"], [json.dumps(EVENT).encode()])
    report = importer.import_events([write_events(tmp_path / "e.ndjson", EVENT, EVENT | {"event_id": EVENT["event_id"][:-1] + "2"})])
    assert (report.total.rows_stored, report.total.rows_duplicate) == (1, 1)


def test_times_are_checked_against_the_clock(importer, tmp_path):
    tomorrow = [(NOW + timedelta(days=1, seconds=late)).isoformat() for late in (0, 1)]
    events = [EVENT | {"event_id": f"{number:032x}", "played_at": time} for number, time in enumerate(tomorrow)]
    events = [event | {"event_id": f"00000000-0000-4000-8000-{number:012}"} for number, event in enumerate(events)]
    report = importer.import_events([write_events(tmp_path / "e.ndjson", *events)])
    assert (report.total.rows_stored, report.total.refused_by_reason) == (1, {"played_at_out_of_range": 1})


def test_a_second_import_at_the_same_time_is_refused_before_it_reads(deployment, importer, reporter, tmp_path):
    write_export(tmp_path / "anna/endsong_0.json")
    with try_lock(tmp_path / "import.lock"), pytest.raises(Unavailable, match=r"another import is running \(it holds .*import\.lock\)"):
        importer.import_history([tmp_path / "anna"], None)
    assert (deployment.history, reporter.calls) == ([], [])
    assert importer.import_history([tmp_path / "anna"], None).total.rows_stored == 3


def test_wrong_paths_are_found_before_anything_is_done(importer, reporter, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no listening history found"):
        importer.import_history([tmp_path / "empty"], "anna")
    with pytest.raises(UsageError, match="no such file"):
        importer.import_events([tmp_path / "nowhere.ndjson"])
    assert reporter.calls == []


def test_the_user_option_names_the_listener(deployment, importer, tmp_path):
    report = importer.import_history([write_export(tmp_path / "x.json")], "carla")
    assert report.as_json()["listener"] == "carla"
    assert {row["user_id"] for row in deployment.history} == {"carla"}
    assert deployment.history[0]["played_at"] == datetime(2023, 12, 31, 23, 59, 59, 995_000, UTC)


def test_files_of_several_kinds_are_recognised_and_of_one_source_only_its_own_are_read(deployment, importer, tmp_path):
    write_export(tmp_path / "all/a.json")
    (tmp_path / "all/b.csv").write_text("uts,artist,track\n1270468740,A,B\n")
    (tmp_path / "all/c.txt").write_text("hello")
    events = write_events(tmp_path / "all/d.ndjson", EVENT)
    report = importer.import_history([tmp_path / "all"], "anna").as_json()
    assert {one["source"]: one["rows_stored"] for one in report["sources"]} == {"spotify_export": 3, "lastfm": 1, "events": 1}
    assert report["left_out_because"] == {"all/c.txt": "text"}
    assert len(deployment.history) == 5
    assert importer.import_history([events], None).total.rows_duplicate == 1
    report = importer.import_history([tmp_path / "all"], "anna", source="lastfm")
    assert (report.total.rows_read, len(report.files_left_out)) == (1, 3)
    with pytest.raises(DataError, match=r"found instead: d\.ndjson"):
        importer.import_history([events], None, source="lastfm")


def test_a_row_that_is_too_large_for_the_log_is_refused_and_the_others_are_stored(deployment, importer, tmp_path):
    path = write_export(tmp_path / "x.json", 2)
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([rows[0], rows[1] | {"note": "x" * 2_000_000}]))
    report = importer.import_history([path], "anna")
    assert (report.total.rows_stored, report.total.refused_by_reason) == (1, {"too_large": 1})
    assert [row["reason"] for row in deployment.rejected] == ["too_large"]
