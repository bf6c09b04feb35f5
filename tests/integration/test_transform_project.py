"""The dbt project by hand: debug, its own tests on hostile and on plain data, and its documentation."""

import subprocess
import sys

import pytest
from tests.warehouse_builder import BronzeBuilder

from soundlake.settings import extend_environment
from soundlake.warehouse import Warehouse


@pytest.fixture
def warehouse(tmp_path):
    bronze = BronzeBuilder(tmp_path / "lake")
    bronze.append("plays", [{"track_id": "t1", "track_name": "A", "artist_name": "B", "duration_ms": 200_000, "content_type": "track"}])
    with Warehouse(tmp_path / "warehouse", bronze) as opened:
        yield opened


def test_debug_passes(warehouse):
    assert warehouse.run_dbt("debug").success


def test_every_test_of_the_models_passes_and_the_snapshot_is_published(warehouse):
    warehouse.transform()
    report = warehouse.transform(full_refresh=True, test=True)
    assert report.rows["silver_plays"] == 1
    assert warehouse.run_dbt("test", "--select", "test_type:unit").success


def test_the_documentation_is_generated(warehouse):
    warehouse.transform()
    command = [sys.executable, "-m", "dbt.cli.main", "docs", "generate", "--static"]
    environment = extend_environment(warehouse.environment())
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (warehouse.folder / "dbt" / "target" / "static_index.html").is_file()
