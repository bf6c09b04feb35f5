"""The dbt project on a small lake with faults: its data tests pass there and fail on damaged tables; its unit tests, debug and docs run."""

import os
import subprocess
import sys

import pyarrow as pa
import pytest
from tests.warehouse_cases import Listening

from soundlake import wiring
from soundlake.contract import EVENT_SCHEMA, encode_events, wrap_refused_row
from soundlake.settings import Settings, extend_environment
from soundlake.warehouse.build_state import open_build

ONE = "where rowid = (select min(rowid) from {table})"
DAMAGE = {
    "insert into silver.silver_plays from silver.silver_plays limit 1": ("unique_silver_plays_event_id",),
    f"update silver.silver_likes set user_id = null {ONE.format(table='silver.silver_likes')}": ("not_null_silver_likes_user_id",),
    f"update silver.silver_tracks set content_type = 'video' {ONE.format(table='silver.silver_tracks')}": (
        "accepted_values_silver_tracks_content_type__track__episode__chapter",
    ),
    "delete from silver.silver_tracks where track_id = (select max(track_id) from silver.silver_plays)": (
        "relationships_silver_plays_track_id__track_id__ref_silver_tracks_",
    ),
    f"update silver.superseded_plays set play_id = 'x' {ONE.format(table='silver.superseded_plays')}": (
        "relationships_silver_observations_play_id__event_id__ref_silver_plays_",
    ),
    f"update gold.user_daily_listening set total_plays = plays_started + 1 {ONE.format(table='gold.user_daily_listening')}": (
        "user_daily_listening_counts_add_up",
        "listens_are_equal_in_every_count",
    ),
    f"update gold.user_daily_listening set total_minutes_listened = -1 {ONE.format(table='gold.user_daily_listening')}": (
        "user_daily_listening_minutes_are_the_milliseconds",
    ),
    f"update gold.device_usage set share_of_plays = 2, plays = plays_started + 1 {ONE.format(table='gold.device_usage')}": (
        "device_usage_shares_are_shares",
        "device_usage_counts_add_up",
    ),
    f"update gold.hourly_activity set hour = 24 {ONE.format(table='gold.hourly_activity')}": ("hourly_activity_counts_add_up",),
    f"update gold.listening_sessions set open_until = ended_at {ONE.format(table='gold.listening_sessions')}": (
        "listening_sessions_counts_add_up",
    ),
    f"update gold.track_popularity set unique_listeners = play_count + 1 {ONE.format(table='gold.track_popularity')}": (
        "track_popularity_counts_add_up",
    ),
    f"update gold.artist_stats set unique_tracks = play_count + 1 {ONE.format(table='gold.artist_stats')}": ("artist_stats_counts_add_up",),
    f"update gold.skip_rates set skip_rate = 2 {ONE.format(table='gold.skip_rates')}": ("skip_rates_are_shares",),
    "update gold.user_recommendations set recommendation_score = rank": ("scores_do_not_rise_with_the_rank",),
    "update gold.user_recommendations as r set track_id = (select min(track_id) from silver.listener_tracks as l "
    "where l.user_id = r.user_id and plays > 0) where rank = 1": ("recommended_songs_were_not_listened_to",),
    f"update gold.user_recommendations set rank = 11 {ONE.format(table='gold.user_recommendations')}": (
        "user_recommendations_rank_and_score_make_sense",
    ),
    f"update gold.track_similarity set similar_track_id = track_id {ONE.format(table='gold.track_similarity')}": (
        "track_similarity_is_of_another_track",
    ),
}
"""By statement that damages a table: the data tests that must fail then."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A lake of a few listeners, filled through log and sink: generated events with faults, and plays observed by several sources."""
    folder = tmp_path_factory.mktemp("project")
    file = folder / "events.ndjson"
    rejected = wrap_refused_row("names_nothing", "spotify_export", "listener 1", {"episode_show_name": "Artist 1"})
    file.write_bytes(b"\n".join([*encode_events(pa.Table.from_pylist(Listening(3).events, EVENT_SCHEMA)), rejected]))
    world = ["--listeners", "12", "--days", "6", "--tracks", "300", "--faults", "harsh", "--start", "2026-02-20"]
    for command in (["generate", *world], ["import", "events", str(file)], ["sink", "--until-drained"]):
        run_soundlake(folder / "home", *command, "--json")
    return folder / "home"


@pytest.fixture(scope="module")
def warehouse(home):
    settings = Settings(home=home)
    with wiring.open_warehouse(settings, wiring.open_lake(settings)) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(warehouse):
    return warehouse.transform(test=True)


def run_soundlake(home, *command):
    environment = os.environ | {"SOUNDLAKE_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "soundlake.cli.app", *command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_debug_passes(warehouse):
    assert warehouse.run_dbt("debug").success


def test_the_data_tests_pass_on_a_lake_with_faults(report):
    empty = {name for name, rows in report.rows.items() if rows == 0}
    assert empty <= {
        "arrived_events", "touched_events", "touched_plays", "touched_days", "touched_listeners", "play_changes", "replaced_plays",
        "replaced_observations", "touched_records", "replaced_records",
    }  # fmt: skip


def test_the_unit_tests_of_the_models_pass(warehouse, report):
    result = warehouse.run_dbt("test", "--select", "test_type:unit")
    assert [(node.name, node.message) for node in result.failures] == []
    assert result.success


def test_the_documentation_is_generated(warehouse, report):
    command = [sys.executable, "-m", "dbt.cli.main", "docs", "generate", "--static"]
    environment = extend_environment(warehouse.environment())
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (warehouse.folder / "dbt" / "target" / "static_index.html").read_text()
    assert "UUID in lower case; the same id is the same event" in page


def test_the_data_tests_fail_on_damaged_tables(warehouse, report):
    with open_build(warehouse.folder / "build.duckdb") as connection:
        for statement in DAMAGE:
            connection.execute(statement)
    failed = {node.name for node in warehouse.run_dbt("test", "--exclude", "test_type:unit").failures}
    assert {name for names in DAMAGE.values() for name in names} - failed == set()
