"""A listener is forgotten on Kafka, a bucket and Redis: what is deleted there, and what Kafka keeps for how long."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import obstore

from soundlake.broker.protocol import read_utc_now
from soundlake.cache import NowPlaying
from soundlake.lake import Lake, Scope
from soundlake.lake.object_store import open_store
from soundlake.operations.erasure import Erasure, Places
from soundlake.progress import StepList
from soundlake.reconciliation.log_vs_bronze import check_log
from soundlake.settings import Address, Settings
from soundlake.sink import Sink, SinkLimits
from soundlake.wiring import open_connected_accounts
from soundlake.wiring.erasure import list_kept_topics
from soundlake.wiring.poller import open_now_playing


def make_event(user_id: str) -> bytes:
    event = {"event_id": str(uuid.uuid4()), "event_type": "play", "user_id": user_id, "played_at": "2026-03-01T10:00:00Z"}
    return json.dumps(event).encode()


def make_playing(listener: str) -> NowPlaying:
    now = datetime.now(UTC)
    nothing = dict.fromkeys(
        ("track_id", "track_name", "artist_name", "album_name", "image_url", "content_type", "device_type", "duration_ms")
    )
    return NowPlaying(
        listener=listener, play_id="p", position_ms=0, is_playing=True, is_stale=False, started_at=now, seen_at=now, **nothing
    )  # fmt: skip


def test_bucket_and_cache_lose_the_listener_and_the_receipt_names_what_kafka_keeps(broker, access, object_store, redis_server, tmp_path):
    settings = Settings(_env_file=None, home=tmp_path, broker=f"kafka://{access.servers}", cache=redis_server.server.url)
    lake = Lake(Address(f"s3://spotify-data-lake/{tmp_path.name}", "s3"), object_store.server.storage_options, lock_folder=tmp_path)
    lake.ensure_tables()
    playing = open_now_playing(settings)
    for listener in ("alice-4711", "bob"):
        playing.write(make_playing(listener))

    def publish_and_drain() -> None:
        values = [make_event("alice-4711"), make_event("bob"), b"broken alice-4711"]
        assert broker.append("user_plays", [b"alice-4711", b"bob", None], values).acknowledged == 3
        Sink(broker, lake, SinkLimits(max_seconds=0.2)).run(until_drained=True)

    publish_and_drain()
    places = Places(
        home=tmp_path,
        lake=lake,
        warehouse=tmp_path / "warehouse",
        accounts=open_connected_accounts(settings),
        log=None,
        kept=lambda: list_kept_topics(settings, read_utc_now()),
        transform=lambda _wait_seconds: None,
        hold_imports=lake.write_alone,
        forget_cache=lambda user_ids: [playing.delete(user_id) for user_id in user_ids],
    )
    receipt = Erasure(places, ["alice-4711"], Scope.EVERYTHING, read_utc_now, StepList()).run()
    assert receipt.deleted == {"tombstones": 1, "bronze/plays": 1, "bronze/rejected": 1}
    assert {kept.place for kept in receipt.kept} >= {"Kafka topic user_plays", "Kafka topic user_events_dlq"}
    assert all(timedelta(days=7) < kept.until - read_utc_now() <= timedelta(days=14) for kept in receipt.kept)
    publish_and_drain()
    assert lake.read("plays", ["user_id"])["user_id"].to_pylist() == ["bob", "bob"]
    assert playing.read("alice-4711", datetime.now(UTC)) is None
    assert playing.read("bob", datetime.now(UTC)) is not None
    assert all(check.ok for check in check_log(broker, lake))
    store = open_store(lake.root, lake.storage_options)
    objects = {str(found["path"]) for chunk in obstore.list(store) for found in chunk if "/plays/" in str(found["path"])}
    files = {path for path in objects if path.endswith(".parquet") and "_delta_log" not in path}
    assert len(files) == len(lake.open_delta("plays").file_uris())
