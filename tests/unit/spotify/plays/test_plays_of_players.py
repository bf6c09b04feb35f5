"""Time lines of players of the kinds that public reports describe, each with what is right."""

import pytest
from tests.acceptance.courses import Course
from tests.acceptance.player_cases import find_player_differences
from tests.acceptance.recent_cases import find_recent_differences


def run(start, end, track, position=0, **more):
    return {"run": [start, end, track, position], "with": more}


def hold(start, end, track, position=0):
    return {"hold": [start, end, track, position]}


def stuck(start, end, track, position=0):
    return {"stuck": [start, end, track, position]}


def none(start, end):
    return {"none": [start, end]}


def gap(start, end):
    return {"gap": [start, end]}


def play(track, start, ms, **more):
    return {"track": track, "start": start, "ms": ms, **more}


DONE, LEFT = {"skipped": False, "reason_end": "trackdone"}, {"skipped": True, "reason_end": "fwdbtn"}
CASES = {
    # old answers
    "a position that does not move and then jumps was an old answer": (
        [run(0, 60, "A"), stuck(60, 75, "A", 60000), run(75, 200, "A", 75000), none(200, 230)], [play("A", 0, 200000, **DONE)]),
    "a position that does not move for a quarter of an hour is not heard": (
        [run(0, 60, "A"), stuck(60, 960, "A", 60000), none(960, 990)], [play("A", 0, 60000, skipped=False)]),
    "a position that does not move before another song is not heard": (
        [run(0, 60, "A"), stuck(60, 90, "A", 60000), run(90, 270, "B"), none(270, 300)],
        [play("A", 0, 60000, **LEFT), play("B", 90, 180000)]),
    "a position that did not move until the song had to end was an old answer": (
        [run(0, 150, "A"), stuck(150, 200, "A", 150000), run(200, 380, "B"), none(380, 400)],
        [play("A", 0, 200000, **DONE), play("B", 200, 180000, reason_start="trackdone")]),
    "the old song is shown for 12 s more": (
        [run(0, 72, "A"), run(72, 240, "B", 12000), none(240, 260)],
        [play("A", 0, 60000, **LEFT), play("B", 60, 180000, **DONE)]),
    "the old song is shown once more after the new one": (
        [run(0, 60, "A"), run(60, 65, "B"), run(65, 70, "A", 65000), run(70, 240, "B", 10000), none(240, 260)],
        [play("A", 0, 60000, **LEFT), play("B", 60, 180000)]),
    "the new song has the old one's clock for 15 s, past its own end": (
        [run(0, 168, "A"), run(168, 183, "C", 168000), run(183, 318, "C", 15000), none(318, 348)],
        [play("A", 0, 168000, **LEFT), play("C", 168, 150000, **DONE)],
    ),
    "another song in one answer only": (
        [run(0, 100, "A"), run(100, 105, "C", 50000), run(105, 200, "A", 105000), none(200, 230)],
        [play("A", 0, 200000, **DONE)]),
    "a song that ended is shown once more": (
        [run(0, 200, "A"), run(200, 220, "B"), {"raw": {"track": "A", "progress_ms": 199000}}, run(220, 380, "B", 20000), none(380, 400)],
        [play("A", 0, 200000, **DONE), play("B", 200, 180000, **DONE)]),
    "a position past the end before the next song": (
        [run(0, 208, "A"), run(208, 380, "B", 8000), none(380, 400)], [play("A", 0, 200000, **DONE), play("B", 200, 180000)]),
    "one answer without a position": (
        [run(0, 60, "A"), {"raw": {"progress_ms": None}}, run(60, 200, "A", 60000), none(200, 230)], [play("A", 0, 200000, **DONE)]),
    "one answer at the beginning": (
        [run(0, 60, "A"), {"raw": {"progress_ms": 0}}, run(60, 200, "A", 60000), none(200, 230)], [play("A", 0, 200000, **DONE)]),
    # no item, no answer
    "two null items in mid-song": (
        [run(0, 60, "A"), {"null_item": [60, 70, "unknown"]}, run(70, 200, "A", 70000), none(200, 230)], [play("A", 0, 200000, **DONE)]),
    "three empty answers hide the change of the song": (
        [run(0, 195, "A"), none(195, 210), run(210, 380, "B", 10000), none(380, 400)],
        [play("A", 0, 200000, **DONE), play("B", 200, 180000)]),
    "many empty answers are believed": (
        [run(0, 60, "A"), none(60, 320), run(320, 380, "B", 120000), none(380, 410)], [play("A", 0, 60000), play("B", 320, 60000)]),
    "a gap in which the song went on": (
        [run(0, 60, "A"), gap(60, 150), run(150, 200, "A", 150000), none(200, 230)], [play("A", 0, 200000, **DONE)]),
    "a gap after which the next song fits to the second": (
        [run(0, 60, "A"), gap(60, 250), run(250, 380, "B", 50000), none(380, 400)], [play("A", 0, 200000, **DONE), play("B", 200, 180000)]),
    "a gap after which anything may have happened": (
        [run(0, 60, "A"), gap(60, 1500), run(1500, 1680, "B"), none(1680, 1700)],
        [play("A", 0, 60000, skipped=None, reason_end=None), play("B", 1500, 180000)]),
    "a gap in which the song was paused": (
        [run(0, 60, "A"), gap(60, 660), run(660, 800, "A", 60000), none(800, 830)], [play("A", 0, 200000, **DONE)]),
    "the first answer comes in mid-song": ([gap(0, 100), run(100, 200, "A", 100000), none(200, 240)], [play("A", 0, 200000)]),
    # repeats, seeks, pauses
    "a repeat that fades in": (
        [run(0, 188, "A"), run(188, 388, "A"), none(388, 400)], [play("A", 0, 188000, **DONE), play("A", 188, 200000, **DONE)]),
    "a repeat in a gap": (
        [run(0, 190, "A"), gap(190, 300), run(300, 400, "A", 100000), none(400, 430)], [play("A", 0, 200000), play("A", 200, 200000)]),
    "a short song on repeat": (
        [run(15 * number, 15 * number + 15, "S") for number in range(4)] + [none(60, 80)],
        [play("S", 15 * number, 15000, **DONE) for number in range(4)]),
    "the next song fades in": (
        [run(0, 189, "A"), run(189, 369, "B"), none(369, 400)], [play("A", 0, 189000, **DONE), play("B", 189, 180000)]),
    "a seek ahead": ([run(0, 60, "A"), run(60, 100, "A", 160000), run(100, 280, "B"), none(280, 300)],
                     [play("A", 0, 100000, **DONE), play("B", 100, 180000)]),
    "a pause between two answers": ([run(0, 61, "A"), hold(61, 64, "A", 61000), run(64, 203, "A", 61000), none(203, 230)],
                                    [play("A", 0, 200000, **DONE)]),
    "it is paused when first seen": ([hold(0, 30, "A", 60000), run(30, 170, "A", 60000), none(170, 200)], [play("A", 30, 140000)]),
    "resumed after nothing was shown": ([none(0, 100), run(100, 200, "A", 100000), none(200, 230)], [play("A", 100, 100000)]),
    "resumed after two empty answers, the first of all": (
        [none(0, 10), run(10, 110, "A", 100000), none(110, 140)], [play("A", 10, 100000)]),
    "it ends at its beginning, paused": ([run(0, 200, "A"), hold(200, 300, "A")], [play("A", 0, 200000, **DONE)]),
    "it ends at its beginning, and is played again": (
        [run(0, 200, "A"), hold(200, 300, "A"), run(300, 500, "A"), none(500, 540)],
        [play("A", 0, 200000, **DONE), play("A", 300, 200000, **DONE)]),
    "the next song waits at its beginning": ([run(0, 200, "A"), hold(200, 300, "B")], [play("A", 0, 200000, **DONE)]),
    "paused for a quarter of an hour, then from the beginning": (
        [run(0, 60, "A"), hold(60, 960, "A", 60000), run(960, 1160, "A"), none(1160, 1190)],
        [play("A", 0, 60000, skipped=False, reason_end="endplay"), play("A", 960, 200000)]),
    "paused for hours": ([run(0, 60, "A"), hold(60, 14460, "A", 60000), run(14460, 14600, "A", 60000), none(14600, 14690)],
                         [play("A", 0, 200000, **DONE)]),
    "back to the song before": ([run(0, 60, "A"), run(60, 65, "B"), run(65, 265, "A"), none(265, 300)],
                                [play("A", 0, 60000, **LEFT), play("B", 60, 5000, **LEFT), play("A", 65, 200000, **DONE)]),
    "begun again by hand": (
        [run(0, 60, "A"), run(60, 260, "A"), none(260, 290)],
        [play("A", 0, 60000, skipped=False, reason_end="backbtn"), play("A", 60, 200000, reason_start="backbtn", **DONE)]),
    "begun again seconds after it was paused": (
        [run(0, 60, "A"), hold(60, 68, "A", 60000), run(68, 268, "A"), none(268, 300)],
        [play("A", 0, 60000, skipped=False), play("A", 68, 200000, **DONE)]),
    "begun again, and left before a second answer": (
        [run(0, 60, "A"), run(60, 64, "A"), run(64, 244, "B"), none(244, 270)],
        [play("A", 0, 64000, **LEFT), play("B", 64, 180000)]),
    "one answer is at the beginning, and the song goes on": (
        [run(0, 100, "A"), run(100, 105, "A"), run(105, 200, "A", 105000), none(200, 230)], [play("A", 0, 200000, **DONE)]),
    "a seek back to near the beginning, and ahead again": (
        [run(0, 100, "A"), run(100, 105, "A", 4000), run(105, 145, "A", 160000), none(145, 170)], [play("A", 0, 145000, **DONE)]),
    "three songs in 21 s": (
        [run(0, 7, "A"), run(7, 14, "B"), run(14, 21, "C"), run(21, 221, "A"), none(221, 250)],
        [play("A", 0, 7000, **LEFT), play("B", 7, 7000, **LEFT), play("C", 14, 7000, **LEFT), play("A", 21, 200000, **DONE)]),
    # devices, ids, content
    "resumed on another device": ([run(0, 60, "A"), hold(60, 3660, "A", 60000), run(3660, 3800, "A", 60000, device_type="Smartphone"),
                                   none(3800, 3830)], [play("A", 0, 200000, device_type="desktop", **DONE)]),
    "a device that begins at 0 and then goes on": ([run(0, 60, "A"), hold(60, 66, "A"), run(66, 206, "A", 60000), none(206, 230)],
                                                   [play("A", 0, 200000, **DONE)]),
    "another id in mid-song": ([run(0, 60, "A"), run(60, 200, "R", 60000), none(200, 230)], [play("A", 0, 200000, **DONE)]),
    "two releases one after the other": ([run(0, 200, "A"), run(200, 400, "R"), none(400, 430)],
                                         [play("A", 0, 200000, **DONE), play("R", 200, 200000, **DONE)]),
    "an episode that is fast": ([run(0, 600, "E", type="episode", speed=1.5), none(600, 640)],
                                [play("E", 0, 600000, content_type="episode")]),
    "an episode that is slow": ([run(0, 600, "E", type="episode", speed=0.8), none(600, 640)], [play("E", 0, 600000)]),
    "an episode that is resumed": ([run(0, 600, "E", 1800000, type="episode"), none(600, 640)], [play("E", 0, 600000)]),
    "the old song's clock in one answer, after a right one": (
        [run(0, 300, "C", 0), run(300, 306, "B"), run(306, 311, "B", 306000), run(311, 480, "B", 11000), none(480, 510)],
        [play("C", 0, 150000), play("B", 300, 180000, skipped=False)]),
    "another id while an answer is late": (
        [run(0, 60, "A"), run(60, 66, "R", 50000), run(66, 200, "A", 66000), none(200, 230)], [play("A", 0, 200000, skipped=False)]),
    "another id after the old song's clock": (
        [run(0, 168, "B"), run(168, 173, "A", 168000), run(173, 368, "R", 5000), none(368, 400)],
        [play("B", 0, 168000), play("A", 168, 200000, skipped=False)]),
    "the old song's clock, and then an answer without a song": (
        [run(0, 168, "B"), run(168, 173, "A", 196000), {"null_item": [173, 178, "unknown"]}, run(178, 368, "A", 10000), none(368, 400)],
        [play("B", 0, 168000), play("A", 168, 200000, skipped=False)]),
    "another id as one seeks back": (
        [run(0, 100, "A"), run(100, 160, "R", 70000), run(160, 230, "A", 130000), none(230, 260)], [play("A", 0, 230000, skipped=False)]),
    "one empty answer at the end, and the song goes on": (
        [run(0, 198, "A"), none(198, 201), run(201, 251, "A", 150000), none(251, 290)], [play("A", 0, 250000, skipped=False)]),
    "a private session within a song": ([run(0, 60, "A"), run(60, 120, "A", 60000, is_private_session=True), run(120, 200, "A", 120000),
                                         none(200, 220)], [play("A", 0, 140000)]),
}  # fmt: skip
TRACKS = {"A": 200000, "B": 180000, "C": 150000, "R": 200400, "S": 15000, "E": 3600000}
NAMES = {"A": "Song - Acoustic", "R": "Song (Acoustic)"}


@pytest.mark.parametrize("name", CASES)
def test_plays_are_right_when(name):
    states, plays = CASES[name]
    case = {
        "id": name,
        "tracks": TRACKS,
        "names": NAMES,
        "given": {"states": states},
        "expect": {"plays": plays},
        "poll_s": 30 if name == "paused for hours" else 5,
    }
    if name == "another song in one answer only":
        case["expect"]["now_playing"] = 2  # a change that one answer shows is shown at once
    assert find_player_differences(Course(case)) == []


def test_a_play_that_is_wrong_is_named():
    given = {"states": [run(0, 60, "A"), run(60, 240, "B"), none(240, 260)]}
    case = {"id": "x", "tracks": TRACKS, "given": given, "expect": {"plays": [play("A", 0, 90000, skipped=False), play("B", 90, 180000)]}}
    assert find_player_differences(Course(case)) == [
        "A has 60000 ms, right is 90000", "A has skipped True, right is False", "B starts at 60.0, right is 90",
        "skips of ['Song A'], right is []",
    ]  # fmt: skip


def test_late_entries_of_recently_played_are_new_and_repeats_are_not(tmp_path):
    given = {"fetches": [[["A", 200], ["B", 400]], [["A", 200], ["C", 300], ["B", 400]], [["B", 400]]]}
    case = {"id": "x", "tracks": TRACKS, "given": given, "expect": {"new_rows_per_fetch": [2, 1, 0]}}
    assert find_recent_differences(case, tmp_path) == []
