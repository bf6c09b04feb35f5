"""Whatever the rhythm of the polls and wherever the poller is restarted: each play once, with its time."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.listening_timelines import ALL_FAULTS, NO_ANSWER, Faults, FaultyPlayer, Timeline, make_random_timeline, make_track, show

from soundlake.spotify.plays import Play, PlayTracker, restore_state, save_state
from soundlake.spotify.plays.instants import read_ms

APART_MS = 32_000  # two polls at least lie between two acts of the listener
WITHIN_MS = 6_000
SEEK_MS = 20_000
ACTS = st.tuples(
    st.integers(APART_MS, 150_000),
    st.one_of(st.tuples(st.just("pause"), st.integers(1_000, 900_000)), st.tuples(st.just("seek"), st.integers(40_000, 300_000))),
)
SONGS = st.tuples(
    st.integers(90_000, 400_000), st.lists(ACTS, max_size=3), st.one_of(st.none(), st.integers(APART_MS, 300_000)), st.integers(0, 9)
)


def build(songs) -> Timeline:
    """A time line of songs: (length, acts, left after so much or played to its end, 0 for a pause in the music or 1 for a repeat)."""
    line, before = Timeline(), None
    for number, (duration_ms, acts, left_after_ms, next_kind) in enumerate(songs):
        track = before if next_kind == 1 and before else make_track(number, duration_ms)
        line.start(track)
        for after_ms, (act, amount) in acts:
            rest = track.duration_ms - line.position_ms
            if rest < after_ms + APART_MS:
                break
            line.hear(after_ms)
            if act == "pause":
                line.pause(amount)
            elif abs(amount - line.position_ms) > SEEK_MS and amount < track.duration_ms - 2 * APART_MS:
                line.seek(amount)  # a seek back by less than the time between two polls looks like a pause
        is_last = number == len(songs) - 1
        is_left = not is_last and left_after_ms is not None and line.position_ms + left_after_ms < track.duration_ms - 20_000
        line.hear(left_after_ms if is_left else track.duration_ms)
        if is_left:
            line.skip()
        before = None if is_left else track
        if next_kind == 0 and not is_left:
            line.wait(120_000)
            before = None
    line.wait(120_000)
    return line


def list_answers(line: Timeline, rhythm_ms: list[int]) -> list[tuple[int, object]]:
    """The answers at a rhythm that is repeated."""
    at_ms, answers = line.segments[0].start_ms, []
    while at_ms < line.now_ms:
        answers.append((at_ms, show(line.find(at_ms), at_ms)))
        at_ms += rhythm_ms[len(answers) % len(rhythm_ms)]
    return answers


def follow(answers, restart_at: int | None = None) -> list[object]:
    tracker, outcomes = PlayTracker("u"), []
    for number, (at_ms, answer) in enumerate(answers):
        if number == restart_at:
            tracker = PlayTracker("u", restore_state(save_state(tracker.state)))
        outcomes += tracker.see(read_ms(at_ms), answer)
    return outcomes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(songs=st.lists(SONGS, min_size=1, max_size=6), rhythm_ms=st.lists(st.integers(3_000, 15_000), min_size=1, max_size=7))
def test_each_play_is_found_once_with_its_time_at_any_rhythm(songs, rhythm_ms):
    line = build(songs)
    plays = [outcome for outcome in follow(list_answers(line, rhythm_ms)) if isinstance(outcome, Play)]
    assert [play.song.name for play in plays] == [play.track.name for play in line.plays]
    for found, true in zip(plays, line.plays, strict=True):
        assert abs(found.ms_played - true.ms) <= WITHIN_MS
        assert abs(found.started_ms - true.start_ms) <= WITHIN_MS
        assert found.is_skipped is true.is_skipped


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1_000), rhythm_ms=st.integers(3_000, 15_000), share=st.floats(0, 1))
def test_a_restart_at_any_answer_changes_nothing_with_all_faults(seed, rhythm_ms, share):
    line = make_random_timeline(6, seed)
    player = FaultyPlayer(line, ALL_FAULTS, seed)
    times = range(line.segments[0].start_ms, min(line.now_ms, line.segments[0].start_ms + 3_600_000), rhythm_ms)
    answers = [(at_ms, answer) for at_ms in times if (answer := player.answer(at_ms)) is not NO_ANSWER]
    assert follow(answers, round(share * len(answers))) == follow(answers)


def test_random_listening_with_all_faults_is_found():
    line = make_random_timeline(150, seed=3)
    player = FaultyPlayer(line, ALL_FAULTS, 3)
    times = range(line.segments[0].start_ms, line.now_ms, 5_000)
    answers = [(at_ms, answer) for at_ms in times if (answer := player.answer(at_ms)) is not NO_ANSWER]
    plays = [outcome for outcome in follow(answers) if isinstance(outcome, Play)]
    long = [play for play in line.plays if play.ms >= 20_000]
    found = [
        true for true in long
        if any(play.song.name == true.track.name and abs(play.started_ms - true.start_ms) < WITHIN_MS for play in plays)
    ]  # fmt: skip
    assert len(found) >= 0.95 * len(long)
    assert len(plays) <= 1.05 * len(line.plays)


def test_without_the_saved_state_a_restart_shows():
    line = build([(200_000, [], None, 0)])
    answers = list_answers(line, [5_000])
    half = len(answers) // 3
    assert len([outcome for outcome in follow(answers[:half]) + follow(answers[half:]) if isinstance(outcome, Play)]) == 1
    assert follow(answers[:half]) + follow(answers[half:]) != follow(answers)


def test_faults_are_off_unless_they_are_asked_for():
    line = build([(200_000, [], None, 0)])
    player = FaultyPlayer(line, Faults())
    assert [player.answer(at_ms) for at_ms, _ in list_answers(line, [5_000])] == [answer for _, answer in list_answers(line, [5_000])]
