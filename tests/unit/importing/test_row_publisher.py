"""Rows that the log does not take: the import fails with the number and the reasons."""

from __future__ import annotations

import pyarrow as pa
import pytest
from importing_fakes import NOW, Deployment, make_history

from soundlake.broker import Delivery, MemoryBroker
from soundlake.contract.decode import decode_records
from soundlake.contract.topics import HISTORY
from soundlake.errors import Unavailable
from soundlake.importing import import_history

PLAY = {"ts": "2024-02-29T23:59:30Z", "spotify_track_uri": "spotify:track:a1", "ms_played": 5}


class FailingBroker(MemoryBroker):
    """Appends nothing: the first record fails, the second one stays without an answer, further ones are acknowledged."""

    def append(self, topic, keys, values):
        failed, unsure = ({0: "too large"}, {1: "no answer"}) if len(values) > 1 else ({0: "too large"}, {})
        return Delivery(len(values), failed, unsure)


@pytest.fixture
def deployment() -> Deployment:
    return Deployment(FailingBroker(clock=lambda: NOW))


def import_rows(deployment, *rows):
    return import_history(make_history(("anna", rows)), deployment.open_publisher(["anna"]), now=NOW, on_bytes_read=lambda _: None)


def test_plays_that_are_not_acknowledged_are_an_error(deployment):
    with pytest.raises(Unavailable, match=r"2 plays could not be published: .*too large") as error:
        import_rows(deployment, *(PLAY | {"ms_played": number} for number in range(3)))
    assert "import the same files again" in error.value.next_step


def test_refused_rows_that_are_not_acknowledged_are_an_error_with_all_reasons(deployment):
    with pytest.raises(Unavailable, match="2 records could not be published: no answer; too large"):
        import_rows(deployment, *(PLAY | {"ms_played": -number} for number in range(1, 4)))


def test_one_record_that_fails_is_an_error(deployment):
    with pytest.raises(Unavailable, match="1 records could not be published: too large"):
        import_rows(deployment, {"nothing": 1})


def test_a_file_without_new_rows_publishes_nothing():
    deployment = Deployment()
    import_rows(deployment, PLAY)
    deployment.drain()
    before = {partition: held.end for partition, held in deployment.broker.offsets(HISTORY.name).items()}
    assert import_rows(deployment, PLAY).total.rows_duplicate == 1
    assert {partition: held.end for partition, held in deployment.broker.offsets(HISTORY.name).items()} == before


def test_records_are_keyed_by_their_listener():
    deployment = Deployment()
    import_rows(deployment, PLAY, {"nothing": 1})
    records = [
        deployment.broker.fetch(HISTORY.name, partition, 0, max_records=9, max_bytes=10**6)
        for partition, held in deployment.broker.offsets(HISTORY.name).items()
        if held.end
    ]
    assert [record.keys.to_pylist() for record in records] == [[b"anna", b"anna"]]


def test_only_the_first_of_equal_events_of_one_table_is_new():
    deployment = Deployment()
    record = b'{"event_id":"00000000-0000-4000-8000-000000000001","event_type":"play","user_id":"anna","played_at":"2024-01-01T00:00:00Z"}'
    events = decode_records(HISTORY, pa.array([record] * 3), pa.array([int(NOW.timestamp() * 1000)] * 3)).events
    publisher = deployment.open_publisher(None)
    assert publisher.publish_records(events, [record] * 3).tolist() == [True, False, False]
    assert publisher.publish_records(events, [record] * 3).tolist() == [False, False, False]
    deployment.drain()
    assert len(deployment.history) == 1
