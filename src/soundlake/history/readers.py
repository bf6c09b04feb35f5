"""The readers of listening history. A new source is one more line here."""

from __future__ import annotations

from soundlake.history.lastfm import LastFm
from soundlake.history.listenbrainz import ListenBrainz
from soundlake.history.reader import HistoryReader
from soundlake.history.spotify_export import SpotifyExport

READERS: tuple[HistoryReader, ...] = (SpotifyExport(), ListenBrainz(), LastFm())
