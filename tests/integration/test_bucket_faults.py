"""The lake behind a bad connection: what was stored without our hearing of it is stored once, and what was refused is stored after all."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from tests.integration.fault_proxy import SKEWED, Faults, open_proxy

from soundlake.contract import BRONZE_SCHEMA
from soundlake.errors import Unavailable
from soundlake.lake import Lake, Move, make_app_id
from soundlake.settings import Address

APP_ID = make_app_id("log", "user_plays", 0)
ROWS = pa.schema([field for field in BRONZE_SCHEMA if field.name != "_batch"])
BATCHES = 15


@pytest.fixture
def open_behind(object_store, tmp_path):
    """The same lake, straight or by an endpoint."""

    def open_lake(endpoint: str | None = None) -> Lake:
        options = object_store.server.storage_options
        return Lake(
            Address(f"s3://spotify-data-lake/{tmp_path.name}", "s3"), options | ({"AWS_ENDPOINT_URL": endpoint} if endpoint else {})
        )

    return open_lake


def append(lake: Lake, offset: int) -> None:
    """One row, tried again as the sink does: from what the table says of its position."""
    table = lake.table("plays")
    row = {"event_id": str(offset), "played_at": datetime(2026, 3, 1, 12, tzinfo=UTC), "_partition": 0, "_offset": offset}
    for _ in range(30):
        try:
            if table.position(APP_ID) < offset:
                table.append(pa.Table.from_pylist([row], schema=ROWS), [Move(APP_ID, offset - 1, offset)])
        except Unavailable:
            table.refresh()
        else:
            return
    pytest.fail(f"offset {offset} was refused for ever")


@pytest.mark.parametrize(
    ("faults", "met"),
    [
        (Faults(lost_answers=0.2), "PUT lost_answer"),
        (Faults(refused=0.2), "PUT refused"),
        (Faults(lost_answers=0.1, lost_requests=0.1, refused=0.1), "PUT lost_answer"),
    ],
    ids=["answers lost", "slow down", "all of it"],
)
def test_nothing_is_lost_and_nothing_doubled(open_behind, object_store, faults, met):
    straight = open_behind()
    straight.ensure_tables()
    with open_proxy(object_store.server.port, faults) as proxy:
        behind = open_behind(proxy.endpoint)
        for offset in range(BATCHES):
            append(behind, offset)
    assert proxy.met[met] > 0
    assert sorted(int(one) for one in straight.read("plays", ["event_id"])["event_id"].to_pylist()) == list(range(BATCHES))
    assert straight.table("plays").position(APP_ID) == BATCHES - 1


def test_a_clock_that_is_wrong_is_named(open_behind, object_store):
    with (
        open_proxy(object_store.server.port, Faults(refused=1.0, refusal=SKEWED)) as proxy,
        pytest.raises(Unavailable, match=r"this machine's clock is not the store's\n→ set the clock"),
    ):
        open_behind(proxy.endpoint).ensure_tables()
