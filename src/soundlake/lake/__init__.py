"""Keep the tables: Delta Lake by address, append with positions, read, compact."""

from soundlake.lake.compaction import VACUUM_RETENTION_HOURS, Compaction
from soundlake.lake.store_errors import CommitConflict
from soundlake.lake.lake import Lake
from soundlake.lake.layout import LAYOUTS, REPLAYS_TABLE, TableLayout
from soundlake.lake.delta_table import BATCH_APP_ID, NO_POSITION, DeltaBronzeTable, PositionMove, make_position_app_id

__all__ = [
    "BATCH_APP_ID", "LAYOUTS", "NO_POSITION", "REPLAYS_TABLE", "VACUUM_RETENTION_HOURS", "Compaction", "DeltaBronzeTable", "Lake", "PositionMove",
    "CommitConflict", "TableLayout", "make_position_app_id",
]  # fmt: skip
