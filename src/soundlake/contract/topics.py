"""The topics of the event log and the bronze table of each."""

from __future__ import annotations

from dataclasses import dataclass

HOURLY = ("year", "month", "day", "hour")
MONTHLY = ("year", "month")
DAILY = ("year", "month", "day")

REJECTED_TABLE = "rejected"
DLQ_TOPIC = "user_events_dlq"


@dataclass(frozen=True)
class Topic:
    """A topic: its name, its bronze table, the event types it carries and how the table is partitioned."""

    name: str
    table: str
    event_types: tuple[str, ...]
    partition_by: tuple[str, ...] = HOURLY

    @property
    def default_event_type(self) -> str | None:
        """The type of an event without `event_type`: that of the topic if it carries one type only, else None."""
        return self.event_types[0] if len(self.event_types) == 1 else None


PLAYS = Topic("user_plays", "plays", ("play",))
SKIPS = Topic("user_skips", "skips", ("skip",))
LIKES = Topic("user_likes", "likes", ("like",))
PLAYLISTS = Topic("user_playlists", "playlists", ("playlist",))
NOW_PLAYING = Topic("user_now_playing", "now_playing", ("now_playing",))
HISTORY = Topic("user_history", "history", ("play", "skip", "like", "playlist", "now_playing"), MONTHLY)
DLQ = Topic(DLQ_TOPIC, REJECTED_TABLE, ())
"""Announces the rows of bronze/rejected. No events are read from it, so it is not in TOPICS."""
NOW_PLAYING_ENRICHED = Topic("user_now_playing_enriched", NOW_PLAYING.table, ())
"""Output of the streaming job for NOW_PLAYING, within a second. It is not stored in bronze, so it is not in TOPICS."""

TOPICS: tuple[Topic, ...] = (PLAYS, SKIPS, LIKES, PLAYLISTS, NOW_PLAYING, HISTORY)
TOPIC_BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}
LIVE_TOPIC_OF_TYPE: dict[str, Topic] = {kind: topic for topic in TOPICS if topic is not HISTORY for kind in topic.event_types}
