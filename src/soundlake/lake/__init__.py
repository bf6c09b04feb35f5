"""Keep the tables: Delta Lake by address, append with positions, read, compact."""

from soundlake.lake.compaction import VACUUM_RETENTION_HOURS, Compaction
from soundlake.lake.faults import Refused
from soundlake.lake.lake import Lake
from soundlake.lake.layout import LAYOUTS, REPLAYS_TABLE, TableLayout
from soundlake.lake.table import BATCH_APP_ID, NO_POSITION, EventTable, Move, make_app_id

__all__ = [
    "BATCH_APP_ID", "LAYOUTS", "NO_POSITION", "REPLAYS_TABLE", "VACUUM_RETENTION_HOURS", "Compaction", "EventTable", "Lake", "Move",
    "Refused", "TableLayout", "make_app_id",
]  # fmt: skip
