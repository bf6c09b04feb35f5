"""Every commit rests on a put that creates only what is not there: a store that overwrites instead is refused before it can lose one."""

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
def straight(object_store, tmp_path) -> Lake:
    return Lake(Address(f"s3://spotify-data-lake/{tmp_path.name}", "s3"), object_store.server.storage_options)


@pytest.fixture
def overwriting(straight, object_store):
    """The same lake behind a store that overwrites, and the proxy that makes it one."""
    with open_proxy(object_store.server.port, Faults(deaf_by=straight.storage_options)) as proxy:
        yield Lake(straight.address, straight.storage_options | {"AWS_ENDPOINT_URL": proxy.endpoint}), proxy


def append(lake: Lake, offset: int) -> None:
    row = {"event_id": str(offset), "played_at": datetime(2026, 3, 1, 12, tzinfo=UTC), "_partition": 0, "_offset": offset}
    lake.open_table("plays").append(pa.Table.from_pylist([row], schema=ROWS), [PositionMove(APP_ID, offset - 1, offset)])


def list_objects(lake: Lake) -> list[str]:
    return sorted(found["path"] for found in open_store(lake.address.url, lake.storage_options).list().collect())


def test_a_store_that_creates_only_what_is_not_there_is_taken_and_keeps_nothing_of_the_proof(straight):
    straight.ensure_tables()
    append(straight, 0)
    assert [path for path in list_objects(straight) if "bronze/" not in path] == []


def test_a_store_that_overwrites_is_refused_before_anything_is_stored(straight, overwriting):
    lake, proxy = overwriting
    with pytest.raises(SettingsError, match=rf"{proxy.endpoint}\) overwrites .*commits would be lost\n→ take a store that honours it"):
        lake.ensure_tables()
    assert list_objects(straight) == []


def test_a_lake_that_is_there_already_is_not_written_to_through_a_store_that_overwrites(straight, overwriting):
    straight.ensure_tables()
    append(straight, 0)
    before = list_objects(straight)
    with pytest.raises(SettingsError, match="overwrites"):
        append(overwriting[0], 1)
    assert list_objects(straight) == before


def test_the_proof_is_made_once(straight, object_store):
    with open_proxy(object_store.server.port, Faults()) as proxy:
        lake = Lake(straight.address, straight.storage_options | {"AWS_ENDPOINT_URL": proxy.endpoint})
        lake.ensure_tables()
        append(lake, 0)
        append(lake, 1)
    assert proxy.met["POST none"] == 1  # its deletion
