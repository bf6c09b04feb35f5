"""Framed records from publishing to bronze on the embedded log: rejected without a registry, replayed with one, and kept in an outage."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import pyarrow as pa
import pytest

pytest.importorskip("confluent_kafka.schema_registry.avro")

from tests.schema_registry import serve_registry

from soundlake import wiring
from soundlake.contract import EVENT_SCHEMA, REJECTED_TABLE
from soundlake.contract.topics import PLAYS
from soundlake.errors import Unavailable
from soundlake.operations.dead_letters import DeadLetterFilter
from soundlake.progress import StepList
from soundlake.settings import PublishFormat, Settings

EVENTS = pa.Table.from_pylist(
    [
        {
            "event_id": f"00000000-0000-4000-8000-{number:012d}", "event_type": "play", "user_id": f"listener-{number % 3}",
            "played_at": datetime(2026, 3, 1, 12, 0, number, 123_456, tzinfo=UTC), "ms_played": number,
            "extra": '{"mood":"calm"}' if number % 2 else None,
        }
        for number in range(20)
    ],
    EVENT_SCHEMA,
)  # fmt: skip


@pytest.fixture(params=[PublishFormat.CONFLUENT_JSON, PublishFormat.CONFLUENT_AVRO])
def registry(request):
    with serve_registry() as served:
        served.form = request.param
        yield served


@pytest.fixture
def settings(registry, tmp_path) -> Settings:
    """A deployment in a folder whose log holds EVENTS, framed."""
    found = Settings(_env_file=None, home=tmp_path, broker="", lake="", registry={"url": registry.url, "publish": registry.form})
    with closing(wiring.open_broker(found)) as broker:
        assert wiring.open_publisher(found, broker).publish(EVENTS).acknowledged == len(EVENTS)
    return found


def drain(settings: Settings):
    lake = wiring.open_lake(settings)
    with closing(wiring.open_broker(settings)) as broker:
        report = wiring.build_sink(settings, broker, lake).run(until_drained=True)
    return report.events, report.rejected


def read_events(settings: Settings) -> pa.Table:
    """The events in bronze, without the time of publishing."""
    names = [name for name in EVENT_SCHEMA.names if name != "produced_at"]
    return wiring.open_lake(settings).read(PLAYS.table, names).sort_by("event_id")


def test_what_is_published_is_in_bronze_field_by_field(settings):
    assert drain(settings) == (len(EVENTS), 0)
    assert read_events(settings).to_pylist() == EVENTS.drop_columns("produced_at").to_pylist()


def test_without_a_registry_they_are_rejected_by_name_and_replayed_once_there_is_one(settings):
    bare = settings.change(registry={"url": "", "publish": PublishFormat.JSON})
    assert drain(bare) == (0, len(EVENTS))
    details = wiring.open_lake(bare).read(REJECTED_TABLE, ["detail"])["detail"].to_pylist()
    assert all("Confluent's wire format" in detail and "SOUNDLAKE_SCHEMA_REGISTRY" in detail for detail in details)
    with wiring.open_replayer(bare, StepList()) as replayer:
        report = replayer.replay(DeadLetterFilter())
        assert (report.replayed, sum(report.still_rejected.values())) == (0, len(EVENTS))
    with wiring.open_replayer(settings, StepList()) as replayer:
        assert replayer.replay(DeadLetterFilter()).replayed == len(EVENTS)
    assert drain(settings) == (len(EVENTS), 0)
    assert read_events(settings)["event_id"].to_pylist() == EVENTS["event_id"].to_pylist()


def test_an_outage_of_the_registry_rejects_nothing_and_loses_nothing(settings, registry):
    registry.failing = 503, {"error_code": 50003, "message": "leader away"}
    with pytest.raises(Unavailable, match="does not answer"):
        drain(settings)
    assert len(wiring.open_lake(settings).read(REJECTED_TABLE, ["reason"])) == len(read_events(settings)) == 0
    registry.failing = None
    assert drain(settings) == (len(EVENTS), 0)
