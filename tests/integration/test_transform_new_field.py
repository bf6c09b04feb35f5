"""A field that is added to a copy of the contract arrives in bronze and in every silver model, without another edit."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

ROOT = Path(__file__).parents[2]
NEW_FIELD = '    Field("mood", "text", "how", "mood of the listener"),\n'
MODELS = ("silver_plays", "silver_skips", "silver_likes", "silver_playlists", "play_observations")
HEARD = {"user_id": "ana", "track_name": "Song", "artist_name": "Artist", "ms_played": 60_000, "duration_ms": 60_000}
LIVE = HEARD | {"event_type": "play", "source": "spotify_live", "played_at": "2026-03-01T12:00:00Z"}


def make_id(number):
    return str(uuid.UUID(int=number, version=4))


OLD_EVENTS = [LIVE | {"event_id": make_id(1), "played_at": "2026-02-01T12:00:00Z"}]
NEW_EVENTS = [
    LIVE | {"event_id": make_id(2)},
    LIVE | {"event_id": make_id(3), "source": "lastfm", "played_at": "2026-03-01T12:00:02Z", "mood": "calm"},
    LIVE | {"event_id": make_id(4), "source": "generator", "track_id": "t", "content_type": "track", "mood": "wild"},
    LIVE | {"event_id": make_id(5), "event_type": "skip", "position_ms": 1_000, "mood": "bored"},
    LIVE | {"event_id": make_id(6), "event_type": "like", "action": "like", "mood": "glad"},
    LIVE | {"event_id": make_id(7), "event_type": "playlist", "action": "add", "playlist_id": "p", "mood": "tidy"},
    LIVE | {"event_id": make_id(8), "duration_ms": 0, "mood": "odd"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("new_field")


@pytest.fixture(scope="module")
def tree(folder):
    """A copy of the sources and of the dbt project, whose contract has one more field; the derived files are written by the command."""
    copy = folder / "tree"
    for name in ("src", "dbt"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
    record = copy / "src" / "soundlake" / "contract" / "record.py"
    before, last_field, after = record.read_text().partition('    Field("extra"')
    assert last_field
    record.write_text(before + NEW_FIELD + last_field + after)
    run(copy, folder, "soundlake.contract.documents", str(copy))
    return copy


@pytest.fixture(scope="module")
def home(folder, tree):
    """A lake that the present contract began, and a build of the contract with one more field."""
    publish(ROOT, folder, OLD_EVENTS)
    publish(tree, folder, NEW_EVENTS)
    run(tree, folder, "soundlake.cli.app", "transform", "--test", "--json")
    return folder / "home"


def run(root, folder, *command):
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "SOUNDLAKE_HOME": str(folder / "home")}
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def publish(root, folder, events):
    """Publish the events and store them in bronze."""
    file = folder / "events.ndjson"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    run(root, folder, "soundlake.cli.app", "import", "events", str(file), "--json")


@pytest.fixture(scope="module")
def ask(home):
    with duckdb.connect(str(home / "warehouse" / "snapshots" / "current.duckdb"), read_only=True) as connection:
        yield lambda query: connection.execute(query).fetchall()


def test_bronze_has_the_field_beside_rows_from_before_it(home):
    rows = DeltaTable(str(home / "lake" / "bronze" / "history")).to_pyarrow_table(columns=["event_id", "mood"]).to_pylist()
    assert {row["event_id"]: row["mood"] for row in rows} == {event["event_id"]: event.get("mood") for event in [*OLD_EVENTS, *NEW_EVENTS]}


def test_a_play_has_the_value_of_the_best_observation_that_knows_it(ask):
    rows = ask("select event_id, mood from silver.silver_plays order by event_id")
    assert rows == [(make_id(1), None), (make_id(2), "calm"), (make_id(4), "wild")]


@pytest.mark.parametrize("model", MODELS)
def test_every_silver_model_of_events_has_the_column(ask, model):
    assert ask(f"select data_type from information_schema.columns where table_name = '{model}' and column_name = 'mood'") == [("VARCHAR",)]


def test_skips_likes_playlists_and_rejected_events_have_the_value(ask):
    assert ask("from (select mood from silver.silver_skips union select mood from silver.silver_likes) order by all") == [
        ("bored",),
        ("glad",),
    ]
    assert ask("select mood from silver.silver_playlists") == [("tidy",)]
    assert ask("select json_extract_string(event, '$.mood') from silver.silver_rejected") == [("odd",)]


@pytest.mark.parametrize("model", [name for name in MODELS if name != "play_observations"])
def test_the_new_column_is_described_from_its_doc_block(tree, model):
    text = (tree / "dbt" / "models" / "silver" / f"{model}.yml").read_text()
    assert """- {name: mood, description: "{{ doc('field_mood') }}"}""" in text
    assert "{% docs field_mood %}mood of the listener{% enddocs %}" in (tree / "dbt" / "models" / "bronze" / "fields.md").read_text()
