"""Recommendations with few listeners: each listener gets ten if the catalogue allows, and every recommendation has a reason."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from tests.warehouse_builder import BronzeBuilder

from soundlake.warehouse import Warehouse
from soundlake.warehouse.snapshot import open_snapshot

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LENGTH = 200_000


def play(user, track, *, artist="Nina", title=None, heard=LENGTH, hours=0.0, **more):
    return {
        "user_id": user, "track_id": track, "track_name": title or f"Song {track}", "artist_name": artist, "content_type": "track",
        "duration_ms": LENGTH, "ms_played": heard, "is_skipped": heard < 30_000, "played_at": NOON + timedelta(hours=hours),
        "source": "spotify_export", **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def build_gold(tmp_path_factory):
    """Returns a function that builds plays in a warehouse of their own and returns a function that queries its snapshot."""
    snapshots = []

    def build(plays):
        folder = tmp_path_factory.mktemp("gold")
        lake = BronzeBuilder(folder / "lake")
        lake.append("history", plays)
        with Warehouse(folder / "warehouse", lake) as warehouse:
            warehouse.transform()
        snapshot = open_snapshot(folder / "warehouse")
        snapshots.append(snapshot)
        return lambda query: snapshot.connection.execute(query).fetchall()

    yield build
    for snapshot in snapshots:
        snapshot.close()


@pytest.fixture(scope="module")
def ask_alone(build_gold):
    """One listener alone: twelve songs heard, fourteen only started, one of these skipped twice, and an episode."""
    heard = [play("ana", f"heard{n:02}", artist="Nina" if n < 8 else "Odetta", hours=n / 10) for n in range(12)]
    started = [play("ana", f"started{n:02}", artist="Odetta" if n < 4 else "Stranger", heard=5_000, hours=3 + n / 10) for n in range(14)]
    again = [
        play("ana", "started00", artist="Odetta", heard=4_000, hours=5),
        play("ana", "started05", artist="Stranger", heard=9_000, hours=5.1, is_skipped=False),
    ]
    episode = play("ana", "episode", artist="A show", hours=6, content_type="episode")
    return build_gold([*heard, *started, *again, episode])


@pytest.fixture(scope="module")
def ask_few(build_gold):
    """Two listeners with the same songs under different ids, and a third with two songs."""
    songs = [f"title {n:02}" for n in range(20)]
    first = [play("ana", f"a{n:02}", title=title, hours=n / 10) for n, title in enumerate(songs)]
    second = [play("ben", f"b{n:02}", title=title.upper(), hours=24 + n / 10) for n, title in enumerate(songs[:8])]
    third = [play("cleo", "a00", title=songs[0]), play("cleo", "b01", title=songs[1], hours=0.1)]
    return build_gold([*first, *second, *third])


def test_a_listener_alone_gets_ten_started_songs_each_with_a_reason(ask_alone):
    rows = ask_alone("select track_id, source, reason from gold.user_recommendations where user_id = 'ana' order by rank")
    assert len(rows) == 10
    assert {source for _, source, _ in rows} == {"started"}
    assert [track for track, _, _ in rows[:3]] == ["started01", "started02", "started03"]
    assert {reason for _, _, reason in rows[:3]} == {"you started it and never heard it through; you listen to Odetta"}
    assert {reason for _, _, reason in rows[3:]} == {"you started it and never heard it through"}


def test_a_song_skipped_twice_is_not_recommended_but_one_started_twice_is(ask_alone):
    tracks = {track for (track,) in ask_alone("select track_id from gold.user_recommendations")}
    assert "started00" not in tracks
    assert "started05" in tracks


def test_similar_tracks_of_a_listener_alone_come_from_sessions(ask_alone):
    rows = ask_alone("select source, count(*) from gold.track_similarity where track_id = 'heard00' group by source")
    assert Counter(dict(rows)) == Counter(sessions=10)


def test_spoken_word_is_neither_recommended_nor_similar_nor_popular(ask_alone):
    for table in ("track_similarity", "user_recommendations", "track_popularity"):
        assert ask_alone(f"select count(*) from gold.{table} where track_id = 'episode'") == [(0,)]
    assert ask_alone("select sum(spoken_started) from gold.user_daily_listening") == [(1,)]


def test_the_same_song_under_another_id_is_never_recommended_nor_its_own_neighbour(ask_few):
    same = "select upper(track_name) from silver.silver_tracks as other where other.track_id = "
    assert ask_few(f"select * from gold.track_similarity as t where ({same} t.track_id) = ({same} t.similar_track_id)") == []
    heard = "select distinct user_id, upper(track_name) as title from silver.silver_plays where is_listen"
    assert ask_few(f"select * from gold.user_recommendations inner join ({heard}) using (user_id) where title = upper(track_name)") == []
    titles = "select user_id, rank from gold.user_recommendations group by user_id, rank, upper(track_name) having count(*) > 1"
    assert ask_few(titles) == []


def test_listeners_with_the_same_songs_under_different_ids_are_matched(ask_few):
    rows = ask_few("select source, reason, track_name from gold.user_recommendations where user_id = 'ben' order by rank")
    assert len(rows) == 10
    assert rows[0][0] == "sessions"
    assert rows[0][1].lower().startswith("because you played title")


def test_a_listener_with_two_songs_gets_ten(ask_few):
    assert ask_few("select count(*) from gold.user_recommendations where user_id = 'cleo'") == [(10,)]


def test_a_listener_of_the_whole_catalogue_gets_none(ask_few):
    assert ask_few("select * from gold.user_recommendations where user_id = 'ana'") == []
