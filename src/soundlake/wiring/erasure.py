"""The erasure of listeners, and the tombstones that it leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from soundlake.errors import SettingsError
from soundlake.wiring.poller import open_now_playing
from soundlake.wiring.spotify import locate_spotify, open_history_store, open_request_budget, open_token_store
from soundlake.wiring.systems import open_broker, open_lake, open_warehouse

if TYPE_CHECKING:
    from soundlake.broker.embedded import EmbeddedBroker
    from soundlake.lake import Scope
    from soundlake.operations.erasure import Erasure, Kept
    from soundlake.progress import Reporter
    from soundlake.settings import Settings
    from soundlake.spotify.leaving import ConnectedAccounts

_SEGMENT_DAYS = 7
"""Kafka's default `segment.ms`: the newest records of a partition that gets no more are deleted with their segment."""


@contextmanager
def open_erasure(settings: Settings, user_ids: Collection[str], scope: Scope, reporter: Reporter) -> Iterator[Erasure]:
    """Erases these listeners from every place of this deployment."""
    from soundlake.broker.protocol import read_utc_now
    from soundlake.importing import IMPORT_LOCK
    from soundlake.local_files import hold_lock
    from soundlake.operations.erasure import Erasure, Places

    warehouse_folder = settings.warehouse_address.path
    if warehouse_folder is None:
        raise SettingsError("SOUNDLAKE_WAREHOUSE: only duckdb:// can be erased from", next_step="leave it empty for the embedded warehouse")
    with ExitStack() as stack:
        lake = open_lake(settings)
        is_kafka = settings.broker_address.scheme == "kafka"
        places = Places(
            home=settings.home_folder,
            lake=lake,
            warehouse=warehouse_folder,
            accounts=open_connected_accounts(settings),
            log=None if is_kafka else stack.enter_context(closing(_open_embedded(settings))),
            kept=(lambda: list_kept_topics(settings, read_utc_now())) if is_kafka else tuple,
            transform=partial(_transform, settings),
            hold_imports=partial(hold_lock, settings.home_folder / IMPORT_LOCK),
            forget_cache=partial(_forget_now_playing, settings),
        )
        yield Erasure(places, user_ids, scope, read_utc_now, reporter)


def open_connected_accounts(settings: Settings) -> ConnectedAccounts:
    """What this home keeps of its Spotify accounts."""
    from soundlake.spotify.leaving import ConnectedAccounts
    from soundlake.spotify.poller import ListeningStore

    listenings = ListeningStore(locate_spotify(settings) / "listening")
    return ConnectedAccounts(open_token_store(settings), open_request_budget(settings), open_history_store(settings), listenings)


def allow_again(settings: Settings, user_ids: Collection[str], scope: Scope) -> list[str]:
    """Lift the tombstones of listeners, so that what comes of them from now on is stored; returns those who had one."""
    return open_lake(settings).tombstones.lift(user_ids, scope)


def is_forgotten(settings: Settings, user_id: str) -> bool:
    """Whether everything of this listener was erased and nothing of them is stored."""
    return open_lake(settings).tombstones.read().covers(user_id)


def _open_embedded(settings: Settings) -> EmbeddedBroker:
    from soundlake.broker.embedded import EmbeddedBroker

    broker = open_broker(settings)
    assert isinstance(broker, EmbeddedBroker)
    return broker


def _forget_now_playing(settings: Settings, user_ids: Collection[str]) -> None:
    """The cache's live metrics hold hashes and counts only, for minutes."""
    store = open_now_playing(settings)
    for user_id in user_ids:
        store.delete(user_id)


def _transform(settings: Settings, wait_seconds: float) -> object:
    with open_warehouse(settings, open_lake(settings)) as warehouse:
        return warehouse.transform(wait_seconds=wait_seconds)


def list_kept_topics(settings: Settings, now: datetime) -> tuple[Kept, ...]:
    """The topics of Kafka, which deletes by age only, and when the last record of now is gone."""
    from soundlake.contract import TOPICS
    from soundlake.contract.topics import DLQ, NOW_PLAYING_ENRICHED
    from soundlake.operations.erasure import Kept

    until = now + timedelta(hours=settings.topics.retention_hours, days=_SEGMENT_DAYS)
    reason = "Kafka deletes whole segments by age; the sink stores nothing of forgotten listeners"
    return tuple(Kept(f"Kafka topic {topic.name}", until, reason) for topic in (*TOPICS, DLQ, NOW_PLAYING_ENRICHED))
