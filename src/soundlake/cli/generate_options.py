"""Choices of `soundlake generate`: fault profiles, and what its files show."""

from __future__ import annotations

from enum import StrEnum


class Profile(StrEnum):
    """Fault rates by name."""

    NONE = "none"
    MILD = "mild"
    HARSH = "harsh"


class Form(StrEnum):
    """The content of `--out`: the events themselves, or the plays as one source shows them."""

    EVENTS = "events"
    SPOTIFY_EXPORT = "spotify-export"
    SPOTIFY_RECENT = "spotify-recent"
    SPOTIFY_LIVE = "spotify-live"
    LISTENBRAINZ = "listenbrainz"
    LASTFM = "lastfm"


class ExportGeneration(StrEnum):
    """The year in which a Spotify export looked like that; `short` is the account data."""

    Y2018 = "2018"
    Y2020 = "2020"
    Y2022 = "2022"
    Y2024 = "2024"
    SHORT_2018 = "short-2018"
    SHORT = "short"


def name_view(form: Form, generation: ExportGeneration) -> str | None:
    """The name of the view (views.list_views); None for events."""
    if form is Form.EVENTS:
        return None
    return f"{form}-{generation}" if form is Form.SPOTIFY_EXPORT else form.value
