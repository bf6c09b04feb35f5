"""Follows one account: each answer of the player changes the state and may give plays, skips and a change of what plays now."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid5

from soundlake.contract.ids import make_namespace
from soundlake.spotify.models import PlayerState
from soundlake.spotify.plays.endings import (
    BEGUN_AGAIN,
    TRACKDONE,
    Ending,
    end_before,
    end_before_itself,
    end_in_absence,
    end_past_its_end,
    is_played_out,
)
from soundlake.spotify.plays.hearing import JITTER_MS, is_unmeasured, take_sighting
from soundlake.spotify.plays.instants import write_ms
from soundlake.spotify.plays.leftovers import is_leftover, is_out_of_reach, is_past_its_end, is_return
from soundlake.spotify.plays.outcomes import NowPlaying, Outcome, Play, Skip
from soundlake.spotify.plays.restarts import FORGOTTEN_MS, decide_beginning, has_begun_again, is_restart, may_have_begun_again
from soundlake.spotify.plays.settings import describe_setting, fill_setting, get_setting
from soundlake.spotify.plays.songs import Song, describe_song, is_same_recording, is_same_song
from soundlake.spotify.plays.starts import UNSETTLED_MS, Start, find_start, settle_start
from soundlake.spotify.plays.state import Absence, EndedPlay, IdleSong, ListeningState, OpenPlay, Sighting

SOURCE = "spotify_live"
_NAMESPACE = make_namespace(SOURCE)
_BELIEVED_EMPTY_ANSWERS = 2
_BEGINNING_MS = 1_000


class PlayTracker:
    """Turns the answers about one account, in the order of their times, into what was heard.

    It has no clock and no connection; `state` is all that it knows. A poll without an answer is not reported to it.
    """

    def __init__(self, account: str, state: ListeningState | None = None) -> None:
        self.account = account
        self.state = ListeningState() if state is None else state

    def see(self, at: datetime, answer: PlayerState | None) -> list[Outcome]:
        """Take the answer of the time `at` (the middle of its request); None is an empty answer (204)."""
        now_ms = write_ms(at)
        outcomes = self._forget(now_ms)
        is_private = answer is not None and answer.is_private
        if answer is None or answer.item is None or is_private:
            outcomes += self._see_absence(now_ms, is_private=is_private)
        else:
            song = describe_song(answer.item)
            outcomes += self._see_song(song, Sighting(now_ms, _find_position(self.state, song, answer), answer.is_playing), answer)
        self._note_answer(now_ms, answer, is_private=is_private)
        return outcomes

    def _note_answer(self, now_ms: int, answer: PlayerState | None, *, is_private: bool) -> None:
        """Remember until when nothing else can have begun. An answer about a play that was closed says nothing of that."""
        state = self.state
        is_empty = not is_private and (answer is None or answer.item is None)
        if answer is not None and answer.item is not None and not is_private and state.play is None and state.ended is not None:
            now = Sighting(now_ms, answer.progress_ms or 0, answer.is_playing)
            now_ms = state.ended.ended_ms if is_leftover(state.ended, describe_song(answer.item), now) else now_ms
        state.last_answer_ms, state.is_private = now_ms, is_private
        state.last_shown_ms = state.last_shown_ms if is_empty else now_ms
        state.empty_answers = state.empty_answers + 1 if is_empty else 0

    def _forget(self, now_ms: int) -> list[Outcome]:
        """Close what was left in its middle half a day ago."""
        play = self.state.play
        if play is None or play.away_since_ms is None or now_ms - play.away_since_ms < FORGOTTEN_MS:
            return []
        return self._close_leaving() + self._close(end_in_absence(play))

    def _see_absence(self, now_ms: int, *, is_private: bool = False) -> list[Outcome]:
        """An answer without the song: one is not believed (M06), and a song may be resumed after many (D03)."""
        play = self.state.play
        may_settle = play is not None and not play.is_settled and play.absence is None
        outcomes = [] if may_settle else self._close_leaving()
        if play is None:
            return outcomes
        decide_beginning(play)
        if play.absence is None:
            play.absence = Absence(now_ms, is_private=is_private)
        else:
            play.absence.answers += 1
            play.absence.is_private = play.absence.is_private or is_private
        play.away_since_ms = play.away_since_ms or now_ms
        if play.absence.answers >= _BELIEVED_EMPTY_ANSWERS and is_played_out(play, now_ms):
            outcomes += self._close(end_in_absence(play))
        return outcomes

    def _see_song(self, song: Song, now: Sighting, answer: PlayerState) -> list[Outcome]:
        state, play = self.state, self.state.play
        if play is not None and _goes_on(play, song, now):
            return self._see_same_song(play, now, answer)
        if is_leftover(state.ended, song, now):
            return []
        if play is not None and play.sightings == 1 and is_return(state.leaving, song, now):
            return self._see_return(play, now)
        if is_past_its_end(song, now) and (play is None or play.absence is not None):
            return self._see_absence(now.at_ms)
        start = find_start(state, song, now)
        if start is None:
            outcomes = self._see_absence(now.at_ms)
            state.idle = IdleSong(song, now)
            return outcomes
        return self._leave_for(song, start, now, answer)

    def _see_same_song(self, play: OpenPlay, now: Sighting, answer: PlayerState) -> list[Outcome]:
        play.sightings += 1
        fill_setting(play, answer)
        if not play.is_settled:
            return self._see_unsettled(play, now)
        outcomes = self._close_leaving()
        if is_out_of_reach(play.song, play.last, now):
            play.seen_ms = now.at_ms
            return outcomes
        if _was_reset(play, now):
            return outcomes + self._see_absence(now.at_ms)
        if is_restart(play, now) or has_begun_again(play, now):
            return outcomes + self._restart(play, now, answer)
        if play.begun_again is None and may_have_begun_again(play, now):
            play.begun_again, play.seen_ms = now, now.at_ms
            return outcomes
        decide_beginning(play, now)
        take_sighting(play, now)
        if is_past_its_end(play.song, now):
            outcomes += self._close(end_past_its_end(play))
        return outcomes

    def _see_unsettled(self, play: OpenPlay, now: Sighting) -> list[Outcome]:
        """The position of a new song is not yet believed: it may be the old song's (W07)."""
        if settle_start(play, now):
            play.absence, play.away_since_ms = None, None
            return self._close_leaving()
        take_sighting(play, now)
        return self._close_leaving() if now.at_ms - play.first_seen_ms >= UNSETTLED_MS else []

    def _see_return(self, play: OpenPlay, now: Sighting) -> list[Outcome]:
        """The song before goes on: after two such answers the other song was the mistake."""
        play.returns += 1
        leaving = self.state.leaving
        if play.returns < _BELIEVED_EMPTY_ANSWERS or leaving is None or now.position_ms == leaving.last.position_ms:
            return []
        self.state.play, self.state.leaving = leaving, None
        take_sighting(leaving, now)
        return []

    def _restart(self, play: OpenPlay, now: Sighting, answer: PlayerState) -> list[Outcome]:
        started_ms = max(now.clock_ms, play.last.at_ms)
        ending = end_before_itself(play, started_ms)
        outcomes = self._close(ending) + self._open(play.song, Start(started_ms, now.at_ms - started_ms, started_ms), now, answer)
        if self.state.play is not None and ending.reason_end in (TRACKDONE, BEGUN_AGAIN):
            self.state.play.reason_start = ending.reason_end
        return outcomes

    def _leave_for(self, song: Song, start: Start, now: Sighting, answer: PlayerState) -> list[Outcome]:
        """Another song plays; the end of the one before is known when the new one's start is."""
        before = self.state.play
        if before is not None:
            decide_beginning(before)
        is_settled = before is None or before.is_settled
        outcomes = self._close_leaving()
        if before is not None:
            before.is_settled = is_settled
        self.state.leaving, self.state.play = before, None
        return outcomes + self._open(song, start, now, answer)

    def _open(self, song: Song, start: Start, now: Sighting, answer: PlayerState) -> list[Outcome]:
        play_id = self._make_id(f"{now.at_ms}|{song.key}")
        self.state.idle = None
        self.state.play = OpenPlay(
            id=play_id, song=song, started_ms=start.started_ms, earliest_ms=start.earliest_ms, first_seen_ms=now.at_ms, last=now,
            heard_ms=start.heard_ms, is_settled=start.is_settled, seen_ms=now.at_ms, repeat_state=answer.repeat_state,
            away_since_ms=None if now.is_playing else now.at_ms, **describe_setting(answer),
        )  # fmt: skip
        return [NowPlaying(self._make_id(f"{play_id}|now_playing"), song, start.started_ms, get_setting(self.state.play))]

    def _close_leaving(self) -> list[Outcome]:
        """Close the play before the open one; an open one without a believable start keeps the one it has."""
        leaving, play = self.state.leaving, self.state.play
        if play is not None:
            play.is_settled = True
        if leaving is None:
            return []
        self.state.leaving = None
        ending = end_in_absence(leaving) if play is None else end_before(leaving, play.started_ms)
        if play is not None and ending.reason_end == TRACKDONE:
            play.reason_start = TRACKDONE
        return self._report(leaving, ending)

    def _close(self, ending: Ending) -> list[Outcome]:
        play, self.state.play = self.state.play, None
        return [] if play is None else self._report(play, ending)

    def _report(self, play: OpenPlay, ending: Ending) -> list[Outcome]:
        self.state.ended = EndedPlay(play.song, play.last, ending.ended_ms, ending.reason_end)
        done = Play(
            event_id=play.id, song=play.song, started_ms=play.started_ms, ended_ms=max(ending.ended_ms, play.started_ms),
            ms_played=max(0, ending.heard_ms), is_skipped=ending.is_skipped, reason_start=play.reason_start,
            reason_end=ending.reason_end, setting=get_setting(play), is_measured=not (is_unmeasured(play) and play.sightings > 1),
        )  # fmt: skip
        if not ending.is_skipped:
            return [done]
        return [done, Skip(self._make_id(f"{play.id}|skip"), done, max(0, ending.position_ms))]

    def _make_id(self, key: str) -> str:
        """An id of the account and of what was first seen when: the same for the same answers, also after a restart."""
        return str(uuid5(_NAMESPACE, f"{self.account}|{key}"))


def _find_position(state: ListeningState, song: Song, answer: PlayerState) -> int:
    """The position of an answer; one without a position says nothing new of the open play, nor of one that has ended."""
    if answer.progress_ms is not None:
        return answer.progress_ms
    if state.play is not None and is_same_recording(state.play.song, song):
        return state.play.last.position_ms
    has_ended = state.play is None and state.ended is not None and is_same_song(state.ended.song, song)
    return song.duration_ms or 0 if has_ended else 0


def _goes_on(play: OpenPlay, song: Song, now: Sighting) -> bool:
    """Whether the answer shows the song of the play, also under the id of another release (P09) if that did not begin since."""
    if is_same_song(play.song, song):
        return True
    began_since = now.position_ms <= now.at_ms - play.last.at_ms + JITTER_MS and now.position_ms < play.last.position_ms - JITTER_MS
    return is_same_recording(play.song, song) and not (began_since and play.is_settled)


def _was_reset(play: OpenPlay, now: Sighting) -> bool:
    """Paused at the beginning: the song came to its end, or was stopped; nothing of the new position was heard."""
    return not now.is_playing and now.position_ms < play.last.position_ms - JITTER_MS and now.position_ms <= _BEGINNING_MS
