"""From the player's answers and the list of recently played tracks to plays: no clock, no connection, a state that is saved."""

from soundlake.spotify.plays.outcomes import NowPlaying, Outcome, Play, Skip
from soundlake.spotify.plays.state import ListeningState, restore_state, save_state
from soundlake.spotify.plays.tracker import PlayTracker

__all__ = ["ListeningState", "NowPlaying", "Outcome", "Play", "PlayTracker", "Skip", "restore_state", "save_state"]
