"""Imports of forgotten listeners: refused where the files are theirs, dropped and counted where the files mix listeners."""

from __future__ import annotations

import json
import uuid
from contextlib import nullcontext

import pytest
from tests.unit.importing.importing_fakes import Deployment

from soundlake.errors import DataError
from soundlake.importing import Importer
from soundlake.importing.log_drain import LogDrain
from soundlake.lake import Forgotten, Scope
from soundlake.progress import StepList


class Drain(LogDrain):
    """Drains the log of a deployment in memory."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def run(self) -> None:
        self._deployment.drain()

    def in_background(self):
        return nullcontext()


@pytest.fixture
def deployment() -> Deployment:
    deployment = Deployment()
    hash_of = Forgotten("salt").hash
    hashes = [(Scope.EVERYTHING, hash_of("anna")), (Scope.SPOTIFY_API, hash_of("ben"))]
    deployment.tables.forgotten = Forgotten("salt", frozenset(hashes))
    return deployment


def make_importer(deployment: Deployment, tmp_path) -> Importer:
    lock = tmp_path / "import.lock"
    return Importer(deployment.tables, deployment.open_raw_publisher(), Drain(deployment), reporter=StepList(), lock=lock)


def write_export(tmp_path):
    path = tmp_path / "StreamingHistory0.json"
    path.write_text(json.dumps([{"endTime": "2024-03-01 10:00", "artistName": "A", "trackName": "T", "msPlayed": 60_000}]))
    return path


def test_an_export_of_a_forgotten_listener_is_refused_with_the_way_to_lift_it(deployment, tmp_path):
    with pytest.raises(DataError, match="anna was erased") as refused:
        make_importer(deployment, tmp_path).import_history([write_export(tmp_path)], "anna")
    assert refused.value.next_step is not None
    assert "forget --allow anna" in refused.value.next_step
    assert len(deployment.tables.read("history")) == 0


def test_an_export_of_a_disconnected_listener_is_imported(deployment, tmp_path):
    report = make_importer(deployment, tmp_path).import_history([write_export(tmp_path)], "ben")
    assert report.total.rows_stored == 1


def test_events_of_forgotten_listeners_are_dropped_and_counted(deployment, tmp_path):
    rows = [
        {"event_id": str(uuid.uuid4()), "event_type": "play", "user_id": user_id, "played_at": "2024-03-01T10:00:00Z", "source": source}
        for user_id, source in (("anna", "lastfm"), ("ben", "spotify_live"), ("ben", "lastfm"), ("carl", "spotify_live"))
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    total = make_importer(deployment, tmp_path).import_events([path]).total
    assert (total.rows_read, total.rows_stored, total.rows_forgotten, total.rows_duplicate) == (4, 2, 2, 0)
    assert total.as_json()["rows_forgotten"] == 2
    assert sorted(deployment.tables.read("history")["user_id"].to_pylist()) == ["ben", "carl"]
