"""Follows what the connected accounts play, and publishes plays, skips and changes of the song."""

from soundlake.spotify.poller.listening_store import Listening, ListeningStore, Owner
from soundlake.spotify.poller.pace import find_pace
from soundlake.spotify.poller.poller import Poller, PollReport, SongObserver

__all__ = ["Listening", "ListeningStore", "Owner", "PollReport", "Poller", "SongObserver", "find_pace"]
"""What wiring and the commands use."""
