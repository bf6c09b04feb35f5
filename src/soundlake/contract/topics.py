"""The topics of the log, and the bronze table behind each."""

from __future__ import annotations

from dataclasses import dataclass

HOURLY = ("year", "month", "day", "hour")
MONTHLY = ("year", "month")
DAILY = ("year", "month", "day")

REJECTED_TABLE = "rejected"
DLQ_TOPIC = "user_events_dlq"


@dataclass(frozen=True)
class Topic:
    """A topic: its name, its bronze table, the event types it may carry and how the table is partitioned."""

    name: str
    table: str
    event_types: tuple[str, ...]
    partition_by: tuple[str, ...] = HOURLY


PLAYS = Topic("user_plays", "plays", ("play",))
SKIPS = Topic("user_skips", "skips", ("skip",))
LIKES = Topic("user_likes", "likes", ("like",))
PLAYLISTS = Topic("user_playlists", "playlists", ("playlist",))
NOW_PLAYING = Topic("user_now_playing", "now_playing", ("now_playing",))
HISTORY = Topic("user_history", "history", ("play", "skip", "like", "playlist", "now_playing"), MONTHLY)
DLQ = Topic(DLQ_TOPIC, REJECTED_TABLE, ())
"""Announces what bronze/rejected holds; no event is read from it, so it is not one of TOPICS."""
NOW_PLAYING_ENRICHED = Topic("user_now_playing_enriched", NOW_PLAYING.table, ())
"""What the streaming job makes of NOW_PLAYING within a second, for readers of this moment; archived nowhere, so not one of TOPICS."""

TOPICS: tuple[Topic, ...] = (PLAYS, SKIPS, LIKES, PLAYLISTS, NOW_PLAYING, HISTORY)
TOPIC_BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}
LIVE_TOPIC_OF_TYPE: dict[str, Topic] = {kind: topic for topic in TOPICS if topic is not HISTORY for kind in topic.event_types}
