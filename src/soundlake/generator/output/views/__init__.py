"""One truth as several sources show it, each in the form that its importer reads: one file a view."""

from soundlake.generator.output.views.lastfm import LastFm
from soundlake.generator.output.views.listenbrainz import ListenBrainz
from soundlake.generator.output.views.source_faults import SourceFault
from soundlake.generator.output.views.spotify_extended import GENERATIONS, SpotifyExtended
from soundlake.generator.output.views.spotify_live import SpotifyLive
from soundlake.generator.output.views.spotify_recent import SpotifyRecent
from soundlake.generator.output.views.spotify_short import SHORT_FORMS, SpotifyShort
from soundlake.generator.output.views.view import View
from soundlake.generator.output.views.view_folder import Period, ViewFolder

NEWEST_GENERATION = "2024"


def list_views() -> dict[str, View]:
    """Every view by its name: `spotify-export-<generation>`, `spotify-recent`, `spotify-live`, `listenbrainz`, `lastfm`."""
    views: list[View] = [SpotifyExtended(f"spotify-export-{name}", generation) for name, generation in GENERATIONS.items()]
    views += [SpotifyShort(f"spotify-export-{name}", form) for name, form in SHORT_FORMS.items()]
    views += [SpotifyRecent("spotify-recent"), SpotifyLive("spotify-live"), ListenBrainz("listenbrainz"), LastFm("lastfm")]
    return {view.name: view for view in views}


__all__ = ["NEWEST_GENERATION", "Period", "SourceFault", "View", "ViewFolder", "list_views"]
