"""Which observations are one play: small cases from public reports, each a listener of one build."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from tests.warehouse_builder import BronzeBuilder

from soundlake.warehouse import Warehouse

T0 = datetime(2026, 1, 1, 20, tzinfo=UTC)
URI = "spotify:track:sl_0000000000000000000001"  # no time after its colon, as there is in exports


def observe(source, start, ms_played=None, ref=None, *, title="A", artist="X", **fields):
    """One observation; `start` is in seconds after T0."""
    fields = {"source_ref": ref, "played_at_basis": "measured" if source == "spotify_live" else "reported"} | fields
    played = {"source": source, "played_at": T0 + timedelta(seconds=start), "ms_played": ms_played}
    return {"event_id": str(uuid.uuid4()), "track_name": title, "artist_name": artist} | played | fields


def write_time(seconds):
    return f"{T0 + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def live(start, ms_played, ended=None, **fields):
    extra = {} if ended is None else {"extra": json.dumps({"ended_at": write_time(ended)})}
    return observe("spotify_live", start, ms_played, URI, **extra, **fields)


def recent(stamp, **fields):
    return observe("spotify_recent", stamp, ref=URI, **fields)


def extended(end, ms_played, twin="", start=None, **fields):
    begin = {"played_at_basis": "derived_from_end" if start is None else "measured"}
    start = end - ms_played / 1000 if start is None else start
    return observe("spotify_export", start, ms_played, f"extended:{write_time(end)}{twin}", **begin, **fields)


def short(minute, ms_played, **fields):
    return observe("spotify_export", minute - ms_played / 1000, ms_played, f"short:{write_time(minute)}", **fields)


def short_2018(end, **fields):
    return observe("spotify_export", end, None, f"short:{write_time(end)}", **fields)


def lastfm(stamp, **fields):
    return observe("lastfm", stamp, None, f"lastfm:{write_time(stamp)}", **fields)


def lastfm_minute(stamp, **fields):
    return observe("lastfm", stamp, None, f"lastfm_minute:{write_time(stamp)}", **fields)


def listenbrainz(stamp, **fields):
    return observe("listenbrainz", stamp, None, f"listenbrainz:{write_time(stamp)}", **fields)


def repeat_one():
    """A song played live three times without a break."""
    return [live(147 * n, 147_000) for n in range(3)]


ISRC = {"extra": '{"isrc":"QZXXX2600001"}'}
ROWS = [extended(147 * n, 147_000) for n in range(1, 4)]
CASES = {
    "an end that is no time": (1, [live(0, 200_000, extra='{"ended_at":"soon"}'), recent(200)]),
    "four sources of one second": (1, [live(0, 210_000), lastfm(0), extended(210, 210_000), recent(210)]),
    "a stamp within a pause": (2, [live(0, 182_000, 241), live(241, 200_000, title="B"), recent(223.863), recent(441, title="B")]),
    "a resumed song that is listed twice": (1, [live(0, 680_000, 1695), recent(615), recent(1695)]),
    "a resumed song with two extended rows": (1, [live(0, 680_000, 1695), extended(615, 615_000), extended(1695, 65_000)]),
    "a song begun, left and begun again": (2, [live(1, 242_000), extended(0, 463), extended(243, 242_417)]),
    "stamps of the start, the end, and the end of a pause": (
        3, [live(0, 200_000), live(400, 200_000, title="B"), live(800, 200_000, 1300, title="C"), recent(0), recent(600, title="B"),
            recent(1300, title="C")],
    ),
    "repeat one, stamps of the end": (3, [*repeat_one(), recent(147), recent(294), recent(441)]),
    "repeat one, stamps of the start": (3, [*repeat_one(), recent(0), recent(147), recent(294)]),
    "repeat one without a live play": (3, [*ROWS, recent(0), recent(147), recent(294), lastfm(0), lastfm(147), lastfm(294)]),
    "a short song twice in a row": (2, [live(0, 40_000), live(40, 40_000), recent(40), recent(80)]),
    "a short song twice in one source": (2, [recent(40), recent(80)]),
    "a song of 15 s ten times": (10, [*(live(15 * n, 15_000) for n in range(10)), *(recent(15 * n + 15) for n in range(10))]),
    "a song several times a day": (4, [*(extended(end, 200_000) for end in (200, 7400, 14600, 14800)), recent(7400), recent(14800)]),
    "two releases of one song": (
        1, [live(0, 180_000, title="Song - Acoustic", track_id="a"), recent(180, title="Song (Acoustic)", track_id="b")],
    ),
    "a live version after the studio version": (2, [live(0, 180_000, title="Song (Live)"), recent(180, title="Song (Live)"),
                                                    live(180, 180_000, title="Song"), recent(360, title="Song")]),
    "one recording code and two titles": (1, [live(0, 180_000, title="Eins", **ISRC), recent(180, title="Zwei", **ISRC)]),
    "minutes and seconds": (3, [lastfm_minute(0), lastfm_minute(180, title="B"), lastfm_minute(240, title="B"), lastfm(14),
                                lastfm(214, title="B"), lastfm(259, title="B"), extended(214, 200_000)]),
    "a listen stamped in the middle": (1, [live(0, 200_000), listenbrainz(100)]),
    "a listen stamped at its end": (1, [live(0, 200_000), listenbrainz(200)]),
    "repeat one, listens of the end": (4, [*repeat_one(), live(441, 200_000, title="B"), *(listenbrainz(147 * n) for n in (1, 2, 3)),
                                           listenbrainz(641, title="B")]),
    "a moment before the song": (2, [extended(1, 1_000), extended(8, 6_000), live(2, 6_000)]),
    "a resumed song with two rows in two sources": (
        1, [live(0, 680_000, 1695), extended(615, 615_000), extended(1695, 65_000), recent(615), recent(1694)],
    ),
    "a short row of a row that came late": (1, [short(600, 90_000), extended(30_000, 90_000, start=0)]),
    "short rows of a song heard twice offline": (2, [short(60, 90_000), short(240, 90_000), extended(30_000, 90_000, start=0),
                                                     extended(30_000, 90_000, "#2", start=180)]),
    "a resumed song that is scrobbled twice": (1, [extended(300, 200_000, start=0), lastfm(0), lastfm(170), recent(300), recent(100)]),
    "scrobbled twice by the minute": (1, [extended(150, 120_000, start=0), lastfm_minute(0), lastfm_minute(120)]),
    "a player that was left paused": (1, [live(0, 100_000), extended(700, 100_000, start=0), short_2018(700)]),
    "equal rows of 2018": (2, [short_2018(100), short_2018(100), extended(100, 500), extended(101, 400)]),
    "two pollers and a moment": (1, [live(0, 100), live(1.4, 800)]),
    "a moment after the song": (2, [live(0, 200_000), live(199, 1_300)]),
    "left and begun again, a stamp of the start": (
        2, [live(0, 8_500, duration_ms=200_000), live(9, 200_000), recent(9, duration_ms=200_000)],
    ),
    "left and begun again, a minute": (2, [extended(9, 8_500), extended(209, 200_000), lastfm_minute(0)]),
    "begun again within seconds": (2, [live(1, 3_000), live(5, 6_500), extended(4, 3_000), extended(12, 6_500)]),
    "two pollers of one account": (1, [live(0, 200_000), live(2.5, 197_000)]),
    "two pollers and repeat one": (2, [live(0, 147_000), live(147, 147_000), live(0.5, 148_500), live(149, 147_000)]),
    "twins of one file": (2, [extended(100, 0, reason_end="endplay"), extended(100, 0, "#2", reason_end="logout")]),
    "an export with and one without ids": (1, [extended(100, 90_000), extended(100, 90_000, track_id="b", reason_end="trackdone")]),
    "a song with several ids": (1, [extended(100, 90_000, track_id="a"), extended(100, 90_000, track_id="b")]),
    "names that one download lacks": (1, [extended(100, 90_000, title=None, artist=None, track_id="b"),
                                          extended(100, 90_000, track_id="b", reason_end="trackdone")]),
    "a renamed artist": (1, [short(60, 90_000, artist="Old"), extended(100, 90_000, track_id="b", artist="New")]),
    "a renamed artist and another id": (
        1, [extended(100, 90_000, track_id="a", artist="Old"), extended(100, 90_000, track_id="b", artist="New")],
    ),
    "two artists in one file": (2, [extended(100, 90_000, track_id="a"), extended(100, 90_000, "#2", track_id="b", artist="New")]),
    "names in two normal forms": (1, [short(60, 90_000, artist="Beyla\u0301"), extended(100, 90_000, artist="Beyl\u00e1")]),
    "equal short rows": (2, [short(60, 20_000), short(60, 20_000), extended(75, 20_000), extended(95, 20_000)]),
    "the form of 2018 to the second": (2, [short_2018(100, artist="X, Y"), extended(100, 90_000), short(60, 90_000), short_2018(500)]),
    "an end that came late, and a scrobble": (1, [extended(200_000, 90_000, start=0), lastfm(0)]),
    "another length": (2, [extended(100, 90_000), extended(100, 91_000)]),
    "another title": (2, [lastfm(0), listenbrainz(0, title="B")]),
    "a listen with and one without a recording id": (1, [listenbrainz(0, extra='{"recording_mbid":"m"}'), listenbrainz(0)]),
}  # fmt: skip


@pytest.fixture(scope="module")
def plays(tmp_path_factory):
    """Of each case the rows of silver_plays: seconds after T0, milliseconds, sources."""
    folder = tmp_path_factory.mktemp("plays")
    bronze = BronzeBuilder(folder / "lake")
    bronze.append("history", [event | {"user_id": name} for name, (_, events) in CASES.items() for event in events])
    with Warehouse(folder / "warehouse", bronze, memory_limit="1GB") as warehouse:
        assert warehouse.transform().built
    found = {name: [] for name in CASES}
    with duckdb.connect(str(folder / "warehouse" / "build.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        rows = connection.execute(
            "select user_id, played_at, ms_played, matched_sources from silver.silver_plays order by played_at, ms_played"
        )
        for name, played_at, ms_played, sources in rows.fetchall():
            found[name].append(((played_at - T0).total_seconds(), ms_played, sources))
    return found


@pytest.mark.parametrize("name", CASES)
def test_each_listening_is_one_play(plays, name):
    assert len(plays[name]) == CASES[name][0], plays[name]


def test_a_play_has_the_best_of_each_observation(plays):
    assert plays["four sources of one second"] == [(0.0, 210_000, "lastfm,spotify_export,spotify_live,spotify_recent")]
    assert plays["a resumed song with two extended rows"] == [(0.0, 680_000, "spotify_export,spotify_live")]
    assert plays["an end that came late, and a scrobble"] == [(0.0, 90_000, "lastfm,spotify_export")]
    assert plays["minutes and seconds"][0] == (14.0, 200_000, "lastfm,spotify_export")


def test_an_observation_belongs_to_the_play_that_fits_best(plays):
    assert plays["left and begun again, a stamp of the start"] == [
        (0.0, 8_500, "spotify_live"),
        (9.0, 200_000, "spotify_live,spotify_recent"),
    ]
    assert plays["left and begun again, a minute"] == [(0.5, 8_500, "spotify_export"), (9.0, 200_000, "lastfm,spotify_export")]
    assert plays["begun again within seconds"] == [(1.0, 3_000, "spotify_export,spotify_live"), (5.0, 6_500, "spotify_export,spotify_live")]
    assert {sources for *_, sources in plays["repeat one, listens of the end"]} == {"listenbrainz,spotify_live"}
    assert plays["a moment before the song"] == [(0.0, 1_000, "spotify_export"), (2.0, 6_000, "spotify_export,spotify_live")]


@pytest.mark.parametrize("name", ["repeat one, stamps of the end", "repeat one, stamps of the start"])
def test_each_play_of_a_repeated_song_has_its_own_stamp(plays, name):
    assert plays[name] == [(147.0 * n, 147_000, "spotify_live,spotify_recent") for n in range(3)]
