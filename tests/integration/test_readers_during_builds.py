"""Readers during many builds of the warehouse see complete builds only, and no error."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from tests.warehouse_builder import BronzeBuilder

from soundlake.warehouse import Warehouse, open_snapshot

BUILDS = 20
PLAYS_A_BATCH = 7
TOTALS = """
    select (select count(*) from silver.silver_plays where is_listen),
           (select sum(plays) from gold.hourly_activity),
           (select sum(plays) from silver.listener_tracks),
           (select sum(plays) from gold.listening_sessions)
"""


def make_batch(number):
    begin = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(hours=number)
    return [
        {
            "user_id": f"listener-{(number + place) % 5}",
            "track_id": f"t{(number * 3 + place) % 11}",
            "track_name": f"Title {(number * 3 + place) % 11}",
            "artist_name": f"Artist {place % 3}",
            "played_at": begin + timedelta(minutes=4 * place),
            "ms_played": 200_000,
            "duration_ms": 210_000,
        }
        for place in range(PLAYS_A_BATCH)
    ]


class Reader(threading.Thread):
    """Opens the newest snapshot repeatedly, and reads it twice each time."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.stop = threading.Event()
        self.seen = {}
        self.errors = []

    def run(self):
        while not self.stop.is_set():
            try:
                with open_snapshot(self.folder) as snapshot:
                    first = snapshot.connection.execute(TOTALS).fetchone()
                    self.stop.wait(0.05)
                    assert snapshot.connection.execute(TOTALS).fetchone() == first
                self.seen.setdefault(snapshot.id, set()).add(first)
            except Exception as error:  # noqa: BLE001  # the test reports any error of a reader
                self.errors.append(error)


@pytest.mark.timeout(900)
def test_readers_open_during_twenty_builds_see_no_error_and_no_half_built_table(tmp_path):
    bronze = BronzeBuilder(tmp_path / "lake")
    with Warehouse(tmp_path / "warehouse", bronze, memory_limit="1GB") as warehouse:
        bronze.append("plays", make_batch(0))
        warehouse.transform()
        readers = [Reader(warehouse.folder) for _ in range(2)]
        for reader in readers:
            reader.start()
        with open_snapshot(warehouse.folder) as oldest:
            for number in range(1, BUILDS + 1):
                bronze.append("plays", make_batch(number))
                assert warehouse.transform().built
            assert oldest.connection.execute(TOTALS).fetchone() == (PLAYS_A_BATCH,) * 4
        for reader in readers:
            reader.stop.set()
            reader.join()
        with open_snapshot(warehouse.folder) as newest:
            assert newest.connection.execute(TOTALS).fetchone() == (PLAYS_A_BATCH * (BUILDS + 1),) * 4
    assert [error for reader in readers for error in reader.errors] == []
    seen = readers[0].seen | readers[1].seen
    assert len(seen) >= BUILDS // 2
    assert all(len(totals) == 1 for totals in seen.values())
    for plays, by_hour, by_track, by_session in (next(iter(totals)) for totals in seen.values()):
        assert plays == by_hour == by_track == by_session
        assert plays % PLAYS_A_BATCH == 0
