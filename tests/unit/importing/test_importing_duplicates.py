"""Counts of stored, duplicate and refused rows, compared with a count row by row."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from importing_fakes import NOW, Deployment, make_history

from soundlake.importing import import_history

TIMES = ("2024-02-29T23:59:30Z", "2024-03-01T00:00:30Z")
EXTENDED = st.fixed_dictionaries({
    "ts": st.sampled_from(TIMES), "spotify_track_uri": st.sampled_from(["spotify:track:a1", None]),
    "master_metadata_track_name": st.sampled_from(["Ode", None]), "master_metadata_album_artist_name": st.just("The Lanterns"),
    "ms_played": st.sampled_from([0, 5, -1]), "reason_end": st.sampled_from(["trackdone", "", None]),
})  # fmt: skip
SHORT = st.fixed_dictionaries({
    "endTime": st.sampled_from(["2024-03-01 00:00", "2024-03-01 00:01"]), "artistName": st.just("The Lanterns"),
    "trackName": st.sampled_from(["Ode", ""]), "msPlayed": st.sampled_from([5, None]),
})  # fmt: skip
ROWS = st.lists(EXTENDED | SHORT | st.just({"nothing": 1}), max_size=10)
FILES = st.lists(st.tuples(st.sampled_from(["anna", "ben"]), ROWS), max_size=5)


def run_import(deployment, files):
    found = make_history(*files)
    publisher = deployment.open_publisher(found.listeners)
    report = import_history(found, publisher, now=NOW, on_bytes_read=lambda _: None).total
    deployment.drain()
    return report


def count_by_rules(files):
    """Rows read, stored, duplicate and refused, and the milliseconds, counted row by row."""
    stored, refused, read = Counter(), Counter(), 0
    for user, rows in files:
        in_file = Counter()
        for row in rows:
            read += 1
            if "ts" in row:
                what = row["spotify_track_uri"] or row["master_metadata_track_name"]
                if not what or row["ms_played"] < 0:
                    refused["bad_ms_played" if what else "names_nothing"] += 1
                else:
                    stored[(user, row["ts"], what, row["ms_played"], row["reason_end"] or None)] = 1
            elif "endTime" in row:
                if not row["trackName"] or row["msPlayed"] is None:
                    refused["bad_ms_played" if row["trackName"] else "names_nothing"] += 1
                else:
                    in_file[(user, row["endTime"], row["trackName"], row["msPlayed"])] += 1
            else:
                refused["unknown_shape"] += 1
        stored |= in_file
    ms_played = sum(key[3] * count for key, count in stored.items())
    return read, stored.total(), read - stored.total() - refused.total(), dict(refused), ms_played


def figures(reports):
    refused = Counter()
    for report in reports:
        refused += report.refused_by_reason
    return (
        sum(report.rows_read for report in reports), sum(report.rows_stored for report in reports),
        sum(report.rows_duplicate for report in reports), dict(refused), sum(report.ms_played for report in reports),
    )  # fmt: skip


def read_known(history):
    """What bronze knows of each play; a repeat is stored only where it adds something."""
    known = {}
    for row in history:
        facts = {name for name in ("content_type", "track_name", "artist_name", "album_name") if row[name]}
        facts |= {"start by the device"} if row["played_at_basis"] == "measured" else set()
        facts |= {"twin"} if "#" in row["source_ref"] else set()
        assert not known.keys() & {row["event_id"]} or facts - known[row["event_id"]], row
        known[row["event_id"]] = known.get(row["event_id"], set()) | facts
    return known


@given(FILES)
@settings(max_examples=25, deadline=None)
def test_one_import_agrees_with_the_rules_and_bronze_with_the_report(files):
    deployment = Deployment()
    report = run_import(deployment, files)
    assert figures([report]) == count_by_rules(files)
    assert len(read_known(deployment.history)) == report.rows_stored
    assert Counter(row["reason"] for row in deployment.rejected) == report.refused_by_reason


@given(FILES, st.randoms(use_true_random=False), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_several_imports_in_any_order_add_up_to_one(files, random, at_a_time):
    shuffled = random.sample(files, len(files))
    deployment, at_once = Deployment(), Deployment()
    reports = [run_import(deployment, shuffled[start : start + at_a_time]) for start in range(0, len(shuffled), at_a_time)]
    run_import(at_once, files)
    assert figures(reports) == count_by_rules(files)
    assert read_known(deployment.history) == read_known(at_once.history)


@given(FILES)
@settings(max_examples=25, deadline=None)
def test_a_repeat_stores_nothing_and_keeps_no_refused_row_twice(files):
    deployment = Deployment()
    first = run_import(deployment, files)
    history, rejected = deployment.history, deployment.rejected
    second = run_import(deployment, files)
    assert (second.rows_stored, second.ms_played) == (0, 0)
    assert second.rows_duplicate == first.rows_stored + first.rows_duplicate
    assert second.refused_by_reason == first.refused_by_reason
    assert (deployment.history, deployment.rejected) == (history, rejected)


REFUSED = {"endTime": "2024-03-01 00:00", "artistName": "A", "trackName": "", "msPlayed": 5}


def test_equal_refused_rows_are_kept_as_often_as_one_import_has_them():
    deployment = Deployment()
    for count, kept in ((2, 2), (1, 2), (3, 3), (3, 3)):
        assert run_import(deployment, [("anna", [REFUSED] * count)]).rows_refused == count
        assert len(deployment.rejected) == kept


def test_a_refused_row_of_another_listener_is_another_row():
    deployment = Deployment()
    run_import(deployment, [("anna", [REFUSED])])
    run_import(deployment, [("ben", [REFUSED])])
    assert len(deployment.rejected) == 2


SONG = {"endTime": "2024-03-01 00:00", "artistName": "The Show", "trackName": "One", "msPlayed": 5}
EPISODE = {"endTime": "2024-03-01 00:00", "podcastName": "The Show", "episodeName": "One", "msPlayed": 5}


@pytest.mark.parametrize("imports", [[[SONG], [EPISODE]], [[EPISODE], [SONG]], [[SONG], [SONG], [EPISODE], [EPISODE], [SONG]]], ids=str)
def test_a_content_type_is_stored_in_any_order_of_the_files(imports):
    deployment = Deployment()
    reports = [run_import(deployment, [("anna", rows)]) for rows in imports]
    assert [report.rows_stored for report in reports] == [1] + [0] * (len(imports) - 1)
    kinds = [row["content_type"] for row in deployment.history]
    assert kinds == (["episode"] if imports[0] == [EPISODE] else [None, "episode"])


NAMELESS = {"ts": TIMES[0], "spotify_track_uri": "spotify:track:a1", "ms_played": 5}
NAMED = NAMELESS | {"master_metadata_track_name": "Ode", "master_metadata_album_artist_name": "The Lanterns"}


@pytest.mark.parametrize(
    "imports", [[[NAMELESS], [NAMED], [NAMELESS], [NAMED]], [[NAMED], [NAMELESS]], [[NAMELESS, NAMED, NAMELESS]]], ids=len
)
def test_names_that_only_a_later_download_knows_are_stored_once(imports):
    deployment = Deployment()
    reports = [run_import(deployment, [("anna", rows)]) for rows in imports]
    assert sum(report.rows_stored for report in reports) == 1
    names = [row["track_name"] for row in deployment.history]
    assert names == (["Ode"] if imports[0] == [NAMED] else [None, "Ode"])


def test_rows_that_are_only_in_the_log_are_not_new():
    deployment = Deployment()
    run_import(deployment, [("anna", [SONG])])
    publisher = deployment.open_publisher(["anna"])
    found = make_history(("anna", [SONG, EPISODE | {"msPlayed": 6}]))
    assert import_history(found, publisher, now=NOW, on_bytes_read=lambda _: None).total.rows_stored == 1
    assert run_import(deployment, [("anna", [SONG, EPISODE | {"msPlayed": 6}])]).rows_stored == 0


def nest(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


PLAY = {"ts": TIMES[0], "spotify_track_uri": "spotify:track:a1", "ms_played": 5}


@pytest.mark.parametrize(
    "odd",
    [
        {"platform": 5},
        {"reason_end": ["x"]},
        {"country": "DE"},
        {"event_id": "mine"},
        {"extra": {"a": 1}},
        {"new": nest(150)},
        {"new": nest(400)},
    ],
    ids=["platform is a number", "reason is a list", "country", "event_id", "extra", "deep", "very deep"],
)
def test_a_field_with_an_unexpected_value_is_kept_and_the_play_is_stored(odd):
    deployment = Deployment()
    assert run_import(deployment, [("anna", [PLAY | odd])]).rows_stored == 1
    (row,) = deployment.history
    ((name, value),) = odd.items()
    assert name in row["extra"]
    assert json.dumps(value).replace(" ", "") in row["extra"].replace(" ", "").replace('\\"', '"')
    assert deployment.rejected == []


@pytest.mark.parametrize("odd", [{"new": nest(150)}, {"new": nest(900)}], ids=["deep", "very deep"])
def test_a_deeply_nested_refused_row_is_kept(odd):
    deployment = Deployment()
    assert run_import(deployment, [("anna", [PLAY | odd | {"ms_played": -1}])]).rows_refused == 1
    assert [row["reason"] for row in deployment.rejected] == ["bad_ms_played"]


LATE = NAMED | {"ts": "2024-03-01T10:00:00Z", "ms_played": 5}


def test_a_repeat_whose_device_noted_the_start_is_stored_in_either_order():
    noted = LATE | {"offline_timestamp": 1_709_251_110}
    for rows, bases in [([LATE, noted], ["derived_from_end", "measured"]), ([noted, LATE], ["measured"])]:
        deployment = Deployment()
        assert [figures([run_import(deployment, [("anna", [row])])])[1:3] for row in rows] == [(1, 0), (0, 1)]
        assert [row["played_at_basis"] for row in deployment.history] == bases


def test_a_repeat_that_shows_a_twin_is_stored():
    deployment = Deployment()
    first, second = LATE | {"reason_end": "endplay"}, LATE | {"reason_end": "logout"}
    run_import(deployment, [("anna", [second])])
    run_import(deployment, [("anna", [first, second])])
    refs = ["extended:2024-03-01T10:00:00Z", "extended:2024-03-01T10:00:00Z", "extended:2024-03-01T10:00:00Z#2"]
    assert sorted(row["source_ref"] for row in deployment.history) == refs
