"""Import listening history: read files, publish what is new, let the sink store it, report on every row."""

from soundlake.operations.importing.events import import_events
from soundlake.operations.importing.intake import Intake
from soundlake.operations.importing.report import ImportReport, Tally
from soundlake.operations.importing.service import Importer
from soundlake.operations.importing.spotify import Advance, import_spotify_exports
from soundlake.operations.importing.stored import StoredRows

__all__ = ["Advance", "ImportReport", "Importer", "Intake", "StoredRows", "Tally", "import_events", "import_spotify_exports"]
