import json
from datetime import UTC, datetime

import numpy as np
import pytest
from history_rows import NOW, make_file, read_bytes, recognise

from soundlake.history import BrokenFile
from soundlake.history.lastfm import LastFm
from soundlake.history.lastfm_csv import find_doubled_rows

UTS = '"1270468740","05 Apr 2010, 11:59","The Lanterns","","Nights","","Ode",""'
AS_LIST = {"username": "anna", "scrobbles": [{"track": "Ode", "artist": "The Lanterns", "album": "Nights", "date": 1270468740000}]}
AS_OBJECTS = [{"name": "Ode", "artist": {"name": "The Lanterns"}, "album": {"title": "Nights"}, "date": {"uts": "1270468740"}}]
SINGLE = {"name": "Ode", "artist": {"#text": "The Lanterns"}, "album": {"#text": "Nights"}, "date": {"uts": 1270468740}}
PLAYED = {"artist": "The Lanterns", "title": "Ode", "album": "Nights", "playback_date": "05 Apr 2010, 11:59"}
HEADER = "uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid\n"
AT = datetime(2010, 4, 5, 11, 59, tzinfo=UTC)


def read(text):
    assert recognise(text) == "lastfm"
    return read_bytes(text.encode(), LastFm())


def list_reasons(result):
    return [refused.reason for refused in result.refused]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("The Lanterns,Nights,Ode,05 Apr 2010 11:59\n", "lastfm_minute"),
        ("The Lanterns,Nights,Ode,05 Apr 2010, 11:59", "lastfm_minute"),
        ("\ufeffThe Lanterns,Nights,Ode,2010-04-05 11:59\r\n", "lastfm_minute"),
        (HEADER + UTS, "lastfm"),
        (UTS, "lastfm"),
        ("Artist;Album;AlbumId;Track;Date#anna\nThe Lanterns;Nights;;Ode;1270468740000\n", "lastfm"),
        ("track\tartist\talbum\tdate\nOde\tThe Lanterns\tNights\t05 Apr 2010 11:59:00\n", "lastfm"),
        (json.dumps(AS_LIST), "lastfm"),
        (json.dumps(AS_OBJECTS), "lastfm"),
        (json.dumps({"recenttracks": {"track": SINGLE, "@attr": {"page": "1"}}}), "lastfm"),
        (json.dumps({"1": {"recenttracks": {"track": [SINGLE]}}, "2": {"recenttracks": {"track": []}}}), "lastfm"),
        (json.dumps({"user": "anna", "pages": [{"track": [SINGLE]}]}), "lastfm"),
        ("1270468740\tOde\tThe Lanterns\tNights\tm\t\tm\n", "lastfm"),
        ('"The Lanterns", "Ode", "Nights", "2010-04-05 11:59:00", "", "275"\n', "lastfm"),
        (HEADER.replace("\n", "\r") + UTS + "\r", "lastfm"),
        ('"Artist Name";"Track Name";"Album";"Played At"\n"The Lanterns";"Ode";"Nights";"2010/04/05 11:59:00"\n', "lastfm"),
        ("artist,title,album,date,time\nThe Lanterns,Ode,Nights,2010-04-05,11:59:00\n", "lastfm"),
        ("artist,title,album,date,time\nThe Lanterns,Ode,Nights,05 Apr 2010, 11:59\n", "lastfm_minute"),
        ("artist,title,album,date\nThe Lanterns,Ode,Nights,Monday 5 April 2010 11:59am\n", "lastfm_minute"),
        (json.dumps(PLAYED), "lastfm_minute"),
    ],
    ids=[
        "four columns", "a comma in the date", "ISO, BOM, CRLF", "uts", "uts without a header", "semicolons", "tabs", "a list", "objects",
        "a page", "pages by number", "pages in an object", "lastexport.py", "six columns", "carriage returns", "names with spaces",
        "date and time", "date and minute", "weekday and half of the day", "pylast",
    ],
)  # fmt: skip
def test_every_form_gives_the_same_play(text, form):
    result = read(text)
    assert not result.refused
    (event,) = result.events.to_pylist()
    assert (event["played_at"], event["played_at_basis"], event["source_ref"]) == (AT, "reported", f"{form}:2010-04-05T11:59:00Z")
    assert (event["artist_name"], event["album_name"], event["track_name"], event["ms_played"]) == ("The Lanterns", "Nights", "Ode", None)
    assert ('"played_at_precision":"minute"' in (event["extra"] or "")) == (form == "lastfm_minute")


def test_the_same_scrobble_in_two_forms_to_the_second_has_one_id():
    csv, page = (
        read(HEADER + UTS),
        read(json.dumps([{"name": "Ode ", "artist": "The Lanterns", "date": {"uts": "1270468740"}, "mbid": "x"}])),
    )
    assert csv.events["event_id"].equals(page.events["event_id"])


def test_rows_without_date_names_or_in_1970_are_refused_and_the_others_are_read():
    rows = [
        "A,B,C,",
        "",
        "A,B,C,05 Apr 2010 11:58",
        ",B,C,05 Apr 2010 11:57",
        "A,B,C,01 Jan 1970 00:00",
        "A,B,C,yesterday",
        'A,,"ti""tle",05 Apr 2010 11:59',
    ]
    result = read("\n".join([*rows, *["A,B,C,06 Apr 2010 10:00"] * 3]))
    assert list_reasons(result) == ["no_date", "names_nothing", "played_at_out_of_range", "bad_date"]
    assert result.events["track_name"].to_pylist() == ["C", 'ti"tle', "C", "C", "C"]
    assert result.events["album_name"].to_pylist()[1] is None


@pytest.mark.parametrize(("time", "reason"), [("2010-04-05", "bad_date"), ("0", "played_at_out_of_range"), ("1.270468740e9", None)])
def test_a_date_alone_is_no_time(time, reason):
    assert list_reasons(read(f"artist,track,date\nA,B,{time}\n")) == ([reason] if reason else [])


def test_without_an_album_and_with_date_and_time_apart():
    result = read("2010-04-05,11:59:00,The Lanterns,Ode\n")
    assert result.events.select(["played_at", "artist_name", "track_name"]).to_pylist() == [
        {"played_at": AT, "artist_name": "The Lanterns", "track_name": "Ode"}
    ]


@pytest.mark.parametrize(
    "line", ["A &amp; B,Al,&quot;Q&quot; &lt;3,05 Apr 2010 11:59\n", '"A, B, C, D and E";"Al";"Q";"05 Apr 2010 11:59"\n']
)
def test_the_delimiter_is_none_of_quoted_cells_and_entities(line):
    assert read(line).events["album_name"].to_pylist() == ["Al"]


def test_a_quotation_mark_that_is_never_closed_costs_its_row_at_most():
    rows = [f"A,B,Song {number},05 Apr 2010 11:{number:02}" for number in range(40)]
    rows[3] = '"Heroes,B,Song 3,05 Apr 2010 11:03'
    result = read("\n".join(rows))
    assert (len(result.events), result.rows_read) == (40, 40)
    assert result.events["artist_name"][3].as_py() == '"Heroes'


def test_two_plays_in_a_minute_stay_two_and_a_page_read_twice_is_not_counted_twice():
    lines = [f"A,B,Song {number % 90},05 Apr 2010 {number // 60:02}:{number % 60:02}" for number in range(200)]
    lines[10] = lines[9]
    once, twice = read("\n".join(lines)), read("\n".join(lines[:100] + lines))
    assert len(set(once.events["event_id"].to_pylist())) == 200
    assert set(twice.events["event_id"].to_pylist()) == set(once.events["event_id"].to_pylist())
    assert once.notes == ()
    assert "rows 101 to 200 repeat earlier rows" in twice.notes[0]


def test_doubled_rows_are_runs_of_fifty_or_more():
    values = np.arange(300)
    for length, expected in ((49, 0), (50, 50), (120, 120)):
        assert find_doubled_rows([*values, *values[:length], *range(1000, 1100)]).sum() == expected
    assert not len(find_doubled_rows([]))


NOW_PLAYING = {"name": "now", "artist": {"#text": "A"}, "@attr": {"nowplaying": "true"}}
DATED = {
    "name": "t", "artist": {"#text": "A", "mbid": ""}, "album": {"#text": ""}, "date": {"uts": "1270468740", "#text": "05 Apr 2010, 11:59"},
}  # fmt: skip
PAGE = {"track": [NOW_PLAYING, DATED], "@attr": {"page": "1"}}


def test_pages_of_the_api_with_a_song_playing_now_a_single_track_and_an_error():
    single = {"track": {"name": "single", "artist": {"name": "A"}, "date": {"uts": "1270468800"}}}
    result = read(json.dumps([PAGE, {"error": 8, "message": "x"}, single]))
    assert list_reasons(result) == ["error_page", "now_playing"]
    assert result.events["track_name"].to_pylist() == ["t", "single"]
    assert result.events["extra"].to_pylist() == [None, None]


@pytest.mark.parametrize("code", [17, "17"])
def test_a_hidden_profile_is_an_error_after_the_rows_before_it(code):
    parts = LastFm().read(make_file(json.dumps([PAGE, {"error": code, "message": "x"}]).encode()), user_id="anna", now=NOW)
    assert len(next(parts).events) == 1
    with pytest.raises(BrokenFile, match="hides its listening"):
        next(parts)


@pytest.mark.parametrize(
    "text", ["a,b,c,d\n", "name,value\n1,2\n", "hello", "[1, 2]", '[{"name": "x", "artist": "y"}]', "endTime,artistName\n"]
)
def test_other_files_are_not_recognised(text):
    assert recognise(text) is None


def test_a_header_alone_is_a_broken_file():
    with pytest.raises(BrokenFile, match="no scrobbles"):
        read(HEADER)


def test_a_file_that_is_not_utf_8_is_read_as_windows_1252():
    result = read_bytes("Beyoncé,B,C,05 Apr 2010 11:59".encode("cp1252"), LastFm())
    assert result.events["artist_name"].to_pylist() == ["Beyoncé"]


def test_unknown_columns_are_kept():
    result = read("uts,artist,track,loved_by\n1270468740,A,C,me\n")
    assert json.loads(result.events["extra"][0].as_py()) == {"loved_by": "me"}
