"""Commits need a store that honours If-None-Match. A store that overwrites instead is detected before it can lose a commit."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from tests.integration.fault_proxy import Faults, open_proxy

from soundlake.contract import BRONZE_SCHEMA
from soundlake.errors import SettingsError
from soundlake.lake import Lake, PositionMove, make_position_app_id
from soundlake.lake.object_store import open_store
from soundlake.settings import Address

APP_ID = make_position_app_id("log", "user_plays", 0)
ROWS = pa.schema([field for field in BRONZE_SCHEMA if field.name != "_batch"])


@pytest.fixture
def direct_lake(object_store, tmp_path) -> Lake:
    return Lake(Address(f"s3://spotify-data-lake/{tmp_path.name}", "s3"), object_store.server.storage_options)


@pytest.fixture
def overwriting_lake(direct_lake, object_store):
    """The same lake behind a proxy that makes the store overwrite, and the proxy."""
    with open_proxy(object_store.server.port, Faults(overwrite_with=direct_lake.storage_options)) as proxy:
        yield Lake(direct_lake.address, direct_lake.storage_options | {"AWS_ENDPOINT_URL": proxy.endpoint}), proxy


def append(lake: Lake, offset: int) -> None:
    row = {"event_id": str(offset), "played_at": datetime(2026, 3, 1, 12, tzinfo=UTC), "_partition": 0, "_offset": offset}
    lake.open_table("plays").append(pa.Table.from_pylist([row], schema=ROWS), [PositionMove(APP_ID, offset - 1, offset)])


def list_objects(lake: Lake) -> list[str]:
    return sorted(found["path"] for found in open_store(lake.address.url, lake.storage_options).list().collect())


def test_a_store_that_honours_conditions_passes_and_keeps_no_object_of_the_check(direct_lake):
    direct_lake.ensure_tables()
    append(direct_lake, 0)
    assert [path for path in list_objects(direct_lake) if "bronze/" not in path] == []


def test_nothing_is_stored_in_a_store_that_overwrites(direct_lake, overwriting_lake):
    lake, proxy = overwriting_lake
    with pytest.raises(SettingsError, match=rf"{proxy.endpoint}\) overwrites .*commits would be lost\n→ use a store that honours it"):
        lake.ensure_tables()
    assert list_objects(direct_lake) == []


def test_an_existing_lake_is_not_written_to_in_a_store_that_overwrites(direct_lake, overwriting_lake):
    direct_lake.ensure_tables()
    append(direct_lake, 0)
    before = list_objects(direct_lake)
    with pytest.raises(SettingsError, match="overwrites"):
        append(overwriting_lake[0], 1)
    assert list_objects(direct_lake) == before


def test_the_check_runs_once(direct_lake, object_store):
    with open_proxy(object_store.server.port, Faults()) as proxy:
        lake = Lake(direct_lake.address, direct_lake.storage_options | {"AWS_ENDPOINT_URL": proxy.endpoint})
        lake.ensure_tables()
        append(lake, 0)
        append(lake, 1)
    assert proxy.counts["POST none"] == 1  # the deletion of its object
