"""The demo and the live generator of a stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from soundlake.wiring.importing import open_importer
from soundlake.wiring.sink import build_log_drain
from soundlake.wiring.systems import make_lake, open_broker, open_lake, open_publisher, open_warehouse

if TYPE_CHECKING:
    from soundlake.operations.demo.build import Demo
    from soundlake.operations.generator.feed import GeneratorFeed
    from soundlake.operations.generator.state import GeneratorOptions
    from soundlake.progress import Reporter
    from soundlake.settings import Settings
    from soundlake.telemetry import Telemetry


@contextmanager
def open_demo(settings: Settings, options: GeneratorOptions) -> Iterator[Demo]:
    """The demo in the home of these settings, new or resumed. Raises UsageError if the options contradict the state found."""
    from soundlake.operations.demo.build import Demo
    from soundlake.operations.generator.state import load_state

    settings.home.mkdir(parents=True, exist_ok=True)
    state = load_state(settings.home)
    if state is None:
        state = options.make_state(datetime.now(UTC).date())
    options.check_state(state, settings.home)
    broker, lake = open_broker(settings), open_lake(settings)
    with closing(broker), open_warehouse(settings, lake) as warehouse:
        yield Demo(
            settings.home,
            state,
            publisher=open_publisher(settings, broker),
            drain=build_log_drain(settings, broker, lake),
            warehouse=warehouse,
            read_forgotten=lake.tombstones.read,
            import_person=None if options.export is None else partial(_import_person, settings, options),
        )


@contextmanager
def open_feed(settings: Settings, options: GeneratorOptions, telemetry: Telemetry | None = None) -> Iterator[GeneratorFeed]:
    """The live generator of a full stack, new or resumed. Raises UsageError if the options contradict the state found."""
    from soundlake.operations.generator.feed import FIRST_DAYS, GeneratorFeed
    from soundlake.operations.generator.state import load_state

    settings.home.mkdir(parents=True, exist_ok=True)
    state = load_state(settings.home)
    if state is None:
        state = replace(options, days=FIRST_DAYS if options.days is None else options.days).make_state(datetime.now(UTC).date())
    options.check_state(state, settings.home)
    with closing(open_broker(settings)) as broker:
        publisher, read_forgotten = open_publisher(settings, broker, telemetry), make_lake(settings).tombstones.read
        yield GeneratorFeed(settings.home, state, publisher, read_forgotten=read_forgotten)


def make_history_wait(settings: Settings) -> Callable[[Reporter], None]:
    """Waits for the history of the first connected account, from now on; returns at once where none is to come."""
    from soundlake.operations.spotify_services import needs_fake, wait_for_history
    from soundlake.wiring.spotify import open_history_store, open_token_store

    store, histories, since = open_token_store(settings), open_history_store(settings), datetime.now(UTC)

    def find_collected() -> datetime | None:
        found = (histories.read(account).answered_at for account in store.list_accounts())
        return max((at for at in found if at is not None), default=None)

    def wait(reporter: Reporter) -> None:
        if needs_fake(settings) or store.list_accounts():
            wait_for_history(find_collected, since, reporter)

    return wait


def _import_person(settings: Settings, options: GeneratorOptions, reporter: Reporter) -> dict[str, Any]:
    assert options.export is not None
    with open_importer(settings, reporter) as importer:
        return importer.import_history([options.export], options.user).as_json()
