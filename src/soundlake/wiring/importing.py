"""The import of history files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from soundlake.wiring.sink import build_log_drain
from soundlake.wiring.systems import open_broker, open_lake, open_publisher

if TYPE_CHECKING:
    from soundlake.importing import Importer
    from soundlake.progress import Reporter
    from soundlake.settings import Settings


@contextmanager
def open_importer(settings: Settings, reporter: Reporter) -> Iterator[Importer]:
    """Imports files of history, with a sink of its own or by the one that runs."""
    from soundlake.importing import IMPORT_LOCK, Importer

    broker, lake = open_broker(settings), open_lake(settings)
    try:
        lock = settings.home_folder / IMPORT_LOCK
        yield Importer(lake, open_publisher(settings, broker), build_log_drain(settings, broker, lake), reporter=reporter, lock=lock)
    finally:
        broker.close()
